package breached_test

import (
	"os"
	"os/exec"
	"path/filepath"
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

// TestTheToolMakesWhatIsRead: tools/breached shares no code with this package, since it runs before the product compiles.
func TestTheToolMakesWhatIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list, out := filepath.Join(dir, "list.txt"), filepath.Join(dir, "out.bin")
	if err := os.WriteFile(list, []byte("Summer summer ab winter\nÄpfel\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "github.com/kept-dev/kept/tools/breached", "--out", out, list)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	made, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	set := breached.Set(made)
	if set.Len() != 3 || !set.Has("SUMMER") || !set.Has("winter") || !set.Has("a\u0308pfel") || set.Has("ab") || set.Has("autumn") {
		t.Errorf("%d, %x", set.Len(), made)
	}
	if strings.Contains(string(made), "summer") {
		t.Error("the set holds words")
	}
	if empty := breached.Set(""); empty.Len() != 0 || empty.Has("summer") {
		t.Error("an empty set knows something")
	}
}
