package archtest

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestSQLiteAndItsLibcAgree: modernc.org/sqlite is generated for one version of
// modernc.org/libc and has crashed with another (pocketbase#6136).
func TestSQLiteAndItsLibcAgree(t *testing.T) {
	t.Parallel()
	const libc = "modernc.org/libc"
	mod, err := os.ReadFile(list(t, "{{.GoMod}}", "modernc.org/sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	want, got := required(mod, libc), list(t, "{{.Version}}", libc)
	if want == "" || got != want {
		t.Errorf("%s is %s, and modernc.org/sqlite names %q: run go get %s@%s", libc, got, want, libc, want)
	}
}

// list asks go for one property of a module.
func list(t *testing.T, format, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", format, module)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// required returns the version of a module that a go.mod file names.
func required(mod []byte, module string) string {
	for s := bufio.NewScanner(bytes.NewReader(mod)); s.Scan(); {
		fields := strings.Fields(strings.TrimPrefix(s.Text(), "require "))
		if len(fields) >= 2 && fields[0] == module {
			return fields[1]
		}
	}
	return ""
}

func TestRequired(t *testing.T) {
	t.Parallel()
	mod := []byte("module m\n\nrequire one v1.0.0\n\nrequire (\n\ttwo v2.0.0\n\ttwo/more v3.0.0 // indirect\n)\n")
	for module, want := range map[string]string{"one": "v1.0.0", "two": "v2.0.0", "two/more": "v3.0.0", "three": ""} {
		if got := required(mod, module); got != want {
			t.Errorf("required %s = %q, want %q", module, got, want)
		}
	}
}
