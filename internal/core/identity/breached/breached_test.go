package breached_test

import (
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/identity/breached"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	known := breached.Known()
	if known.Len() < 80000 || len(known)%5 != 0 {
		t.Fatalf("%d words in %d bytes", known.Len(), len(known))
	}
	for _, w := range []string{"password", "PASSWORD", "trustno1", "ILoveMyFamily", "12345677654321", "qwe123qwe123", "dragon", "\uff50assword" /* full-width p */} {
		if !known.Has(w) {
			t.Errorf("%q is not known", w)
		}
	}
	for _, w := range []string{"", "correct horse battery", "x8#kQ!29vLpw", "zwölf kleine äpfel"} {
		if known.Has(w) {
			t.Errorf("%q is known", w)
		}
	}
}

// TestTheWholeSetIsSorted: an unsorted place would hide what lies behind it from the search.
func TestTheWholeSetIsSorted(t *testing.T) {
	t.Parallel()
	known := string(breached.Known())
	for i := 5; i < len(known); i += 5 {
		if known[i-5:i] >= known[i:i+5] {
			t.Fatalf("not sorted at %d", i)
		}
	}
}

func TestMake(t *testing.T) {
	t.Parallel()
	set := breached.Make([]string{"Summer", "summer", "ab", "", "winter", "Äpfel"})
	if set.Len() != 3 || !set.Has("SUMMER") || !set.Has("winter") || !set.Has("a\u0308pfel") || set.Has("ab") || set.Has("autumn") {
		t.Errorf("%d, %x", set.Len(), string(set))
	}
	if strings.Contains(string(set), "summer") {
		t.Error("the set holds words")
	}
	if empty := breached.Make(nil); empty.Len() != 0 || empty.Has("summer") {
		t.Error("an empty set knows something")
	}
}
