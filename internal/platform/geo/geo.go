// Package geo tells the country of a network address from a table that is built in: nobody is asked, so nobody learns of
// it. The table is IP2Location LITE, by way of github.com/phuslu/iploc; see Attribution.
package geo

import (
	_ "embed"
	"net/netip"
	"slices"
	"strings"

	"github.com/phuslu/iploc"
)

// Credit is a sentence about somebody's work that ends in a link.
type Credit struct{ Text, URL, Licence string }

// Attribution is what the licence of the table wants to be said wherever countries are shown.
var Attribution = Credit{
	Text: "This site or product includes IP2Location LITE data available from", URL: "https://lite.ip2location.com", Licence: "CC BY-SA 4.0",
}

// Country is the ISO 3166 code of the country of an address, or empty: an address that is not public, or one that the
// table does not know. The first question about an IPv6 address unpacks that table (11 MB, some 100 ms).
func Country(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return ""
	}
	code := iploc.IPCountry(ip)
	if Name(code) == "" { // "ZZ" and whatever else is no country
		return ""
	}
	return strings.Clone(code)
}

// Place is a country.
type Place struct {
	Code string // ISO 3166-1 alpha-2
	Name string // in English
}

// countries.txt is a code, a space and a name per line, in the order of the codes.
//
//go:embed countries.txt
var countriesText string

var countries = func() (out []Place) {
	for line := range strings.Lines(countriesText) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		out = append(out, Place{Code: code, Name: name})
	}
	return out
}()

// Name is the name of a country, or empty for a code that is none.
func Name(code string) string {
	i, ok := slices.BinarySearchFunc(countries, code, func(c Place, code string) int { return strings.Compare(c.Code, code) })
	if !ok {
		return ""
	}
	return countries[i].Name
}

// Countries lists all countries in the order of their codes.
func Countries() []Place { return slices.Clone(countries) }
