package geo_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/kept-dev/kept/internal/platform/geo"
)

func TestCountry(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"193.0.6.139": "NL", "::ffff:193.0.6.139": "NL", // RIPE NCC
		"130.149.7.201": "DE", "202.12.29.175": "AU", "2001:67c:2e8:22::c100:68b": "NL",
		"127.0.0.1": "", "10.1.2.3": "", "192.168.0.1": "", "::1": "", "fe80::1%eth0": "", "fd00::1": "", "0.0.0.0": "", "224.0.0.1": "",
		"255.255.255.255": "", "::": "",
	} {
		if got := geo.Country(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
	if got := geo.Country(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	all := geo.Countries()
	if len(all) != 249 || !slices.IsSortedFunc(all, func(a, b geo.Place) int {
		if a.Code < b.Code {
			return -1
		}
		return 1
	}) {
		t.Errorf("%d countries, or not sorted", len(all))
	}
	for _, c := range all {
		if len(c.Code) != 2 || c.Name == "" || geo.Name(c.Code) != c.Name {
			t.Errorf("%+v", c)
		}
	}
	for code, want := range map[string]string{"DE": "Germany", "ZZ": "", "de": "", "": "", "DEU": ""} {
		if got := geo.Name(code); got != want {
			t.Errorf("%q: %q, want %q", code, got, want)
		}
	}
}

// FuzzCountry: whatever the address, the answer is a country or nothing.
func FuzzCountry(f *testing.F) {
	for _, s := range []string{"193.0.6.139", "2001:67c:2e8::1", "0.0.0.1", "255.255.255.254", "::1", "ffff::", "100::", "::2"} {
		ip := netip.MustParseAddr(s)
		f.Add(ip.AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ip, _ := netip.AddrFromSlice(b)
		if code := geo.Country(ip); code != "" && geo.Name(code) == "" {
			t.Errorf("%s: %q", ip, code)
		}
	})
}
