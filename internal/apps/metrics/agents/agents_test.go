package agents

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/testkit/external"
)

// platform is the one that the tests run on.
const platform = runtime.GOOS + "-" + runtime.GOARCH

// agent is a stand-in that says what it was started with.
const agent = "#!/bin/sh\necho agent \"$@\"\n"

func folder(t *testing.T, files map[string]string) *Builds {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return In(dir)
}

// serve is a server that hands out builds; change may alter what it sends.
func serve(t *testing.T, b *Builds, change func(path, body string) string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /agent/{file}", func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		if err := b.Serve(rec, r); err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(change(r.URL.Path, rec.Body.String())))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func as(_, body string) string { return body }

// install runs the script as the command on the page does.
func install(t *testing.T, script, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-s", "--"}, args...)...)
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "KEPT_AGENT_DIR="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func scriptOf(t *testing.T, b *Builds, base string) string {
	t.Helper()
	text, err := b.Script(base)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestInstall runs the script with a real shell and curl or wget: it takes the right build, enrols, and brings it up to date.
func TestInstall(t *testing.T) {
	t.Parallel()
	if _, err := external.Find("curl", "apt-get install curl"); err != nil {
		_, err = external.Find("wget", "apt-get install curl")
		external.Check(t, err)
	}
	b := folder(t, map[string]string{"kept-agent-" + platform: agent, "kept-agent-plan9-mips": "other", "notes.txt": "x"})
	s := serve(t, b, as)
	dir := filepath.Join(t.TempDir(), "a", "bin")
	out, err := install(t, scriptOf(t, b, s.URL+"/"), dir, "kepte_1", "--no-start")
	if err != nil || !strings.Contains(out, "agent version is installed in "+dir) || !strings.HasSuffix(out, "agent --no-start enrol "+s.URL+" kepte_1\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := install(t, scriptOf(t, b, s.URL), dir); err != nil || strings.Contains(out, "enrol") {
		t.Errorf("without a token: %v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestInstallRefuses: nothing is installed that is not what the server has, and half a script does nothing.
func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	b := folder(t, map[string]string{"kept-agent-" + platform: agent})
	other := folder(t, map[string]string{"kept-agent-plan9-mips": agent})
	altered := serve(t, b, func(_, body string) string { return body + "rm -rf /\n" })
	good := scriptOf(t, b, altered.URL)
	for name, c := range map[string]struct{ script, says string }{
		"altered on the way":    {good, "its SHA-256 differs"},
		"not for this platform": {scriptOf(t, other, altered.URL), "has no agent for " + platform},
		"no such server":        {strings.ReplaceAll(good, altered.URL, "http://127.0.0.1:1"), "does not hand it out"},
		"half a script":         {good[:strings.LastIndex(good, "main")], ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			out, err := install(t, c.script, dir, "kepte_1")
			if c.says != "" && err == nil || !strings.Contains(out, c.says) || strings.Contains(out, "agent enrol") {
				t.Errorf("%v\n%s", err, out)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("installed: %v", left)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".k*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestAddressIsQuoted: the address of a server is a word of the script, whatever it is made of.
func TestAddressIsQuoted(t *testing.T) {
	t.Parallel()
	b := folder(t, map[string]string{"kept-agent-" + platform: agent})
	script := scriptOf(t, b, `http://127.0.0.1:1/'$(touch here)'`)
	dir := t.TempDir()
	if out, err := install(t, script, dir); err == nil || !strings.Contains(out, `http://127.0.0.1:1/'$(touch here)'`) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat("here"); err == nil {
		t.Error("it was run")
	}
}

// TestServe: builds are served with their hash, and nothing else in the folder is.
func TestServe(t *testing.T) {
	t.Parallel()
	b := folder(t, map[string]string{"kept-agent-linux-amd64": "one", "kept-agent-windows-amd64.exe": "two", "secret": "x"})
	get := func(file string) (*httptest.ResponseRecorder, error) {
		r := httptest.NewRequest("GET", "/agent/x", nil)
		r.SetPathValue("file", file)
		rec := httptest.NewRecorder()
		return rec, b.Serve(rec, r)
	}
	rec, err := get("kept-agent-linux-amd64")
	hash := sha256.Sum256([]byte("one"))
	if err != nil || rec.Body.String() != "one" || rec.Header().Get("ETag") != `"`+hex.EncodeToString(hash[:])+`"` {
		t.Errorf("%v %v %s", err, rec.Header(), rec.Body)
	}
	for _, file := range []string{"secret", "../secret", "kept-agent-linux-arm64", "kept-agent-../secret", ""} {
		if _, err := get(file); kernel.AsError(err) == nil || kernel.AsError(err).Code != kernel.NotFound {
			t.Errorf("%s: %v", file, err)
		}
	}
	list, err := b.List()
	if err != nil || len(list) != 2 || list[1].Platform != "windows-amd64" || list[0].SHA256 != hex.EncodeToString(hash[:]) || list[0].Size != 3 {
		t.Errorf("%+v %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "kept-agent-linux-amd64"), []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := b.List(); err != nil || list[0].Size != 5 || list[0].SHA256 == hex.EncodeToString(hash[:]) {
		t.Errorf("after it changed: %+v %v", list, err)
	}
	for _, none := range []*Builds{In(""), In(filepath.Join(b.dir, "absent"))} {
		if list, err := none.List(); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
	}
}
