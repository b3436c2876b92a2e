package privacy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/platform/httpx"
)

// To add a check: write one function of type Check in the checks_ file of its section, name it in the promise's entry
// of the table in promises.go, and add to the tests a case in which it says broken.

// routes is the route table.
func (in *Inspection) routes() ([]httpx.Route, error) {
	if in.Routes == nil {
		return nil, errNoSource("route table")
	}
	table := in.Routes.Table()
	if len(table) == 0 {
		return nil, errNoSource("route table")
	}
	return table, nil
}

func routeName(r httpx.Route) string { return r.Method + " " + r.Path }

// changesState tells whether a request of that method may change something.
func changesState(r httpx.Route) bool {
	return !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, r.Method)
}

// named tells whether a field's name is, or ends in, one of the words: "hash" fits key_hash.
func named(f Field, words ...string) bool {
	for _, w := range words {
		if f.Name == w || strings.HasSuffix(f.Name, "_"+w) {
			return true
		}
	}
	return false
}

// lacking lists the fields that a collection should have declared and did not, for a note.
func lacking(what string, words []string) string {
	return fmt.Sprintf("%s: nothing declared for %s", what, strings.Join(words, ", "))
}
