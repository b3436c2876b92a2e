package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/wire/agentapi"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// command runs kept-agent and returns what it printed and logged.
func command(ctx context.Context, environ []string, args ...string) (code int, stdout, stderr string) {
	var o, e bytes.Buffer
	code = run(ctx, args, environ, &o, &e)
	return code, o.String(), e.String()
}

// server is a Kept server as far as an agent sees it.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	enrols  []agentapi.EnrolRequest
	writes  int
	hellos  []agentapi.Hello
	faults  []string
	arrived chan struct{} // closed at the first samples
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{arrived: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agentapi.PathEnrol, func(w http.ResponseWriter, r *http.Request) {
		var in agentapi.EnrolRequest
		s.decode(r, &in)
		if in.Token != "token-1" {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"title":"Unauthorized","detail":"This token was used already."}`)
			return
		}
		s.enrols = append(s.enrols, in)
		json.NewEncoder(w).Encode(agentapi.EnrolResponse{Key: "key-1", WorkspaceName: "Acme", Page: s.URL + "/w/1/hosts/2"})
	})
	mux.HandleFunc("POST "+agentapi.PathHello, func(w http.ResponseWriter, r *http.Request) {
		var in agentapi.Hello
		s.decode(r, &in)
		s.hellos = append(s.hellos, in)
		json.NewEncoder(w).Encode(agentapi.HelloResponse{Now: time.Now().UnixMilli(), Agent: "other"})
	})
	mux.HandleFunc("POST "+agentapi.PathWrite, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer key-1" {
			s.faults = append(s.faults, "samples with another key")
		}
		if s.writes++; s.writes == 1 {
			close(s.arrived)
		}
		w.Header().Set(remotewrite.SamplesWritten, "100000")
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) decode(r *http.Request, into any) {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		s.faults = append(s.faults, err.Error())
	}
}

// TestFromEnrolmentToSamples is a host's way: enrolled with a token, then run with the file that this wrote.
func TestFromEnrolmentToSamples(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "etc", "config")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	old := "# mine\ninterval = 30s\nlabel = env=prod\nlabel = team=shop\nkey = old\n"
	if err := os.WriteFile(file, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t.Context(), nil, "enrol", "--no-start", "--config", file, s.URL, "token-0"); code == 0 || !strings.Contains(stderr, "This token was used already.") {
		t.Errorf("a used token: %d %s", code, stderr)
	}
	code, stdout, stderr := command(t.Context(), nil, "enrol", "--no-start", "--config", file, s.URL+"/", "token-1")
	if code != 0 || !strings.Contains(stdout, "enrolled in Acme") || !strings.Contains(stdout, s.URL+"/w/1/hosts/2") {
		t.Fatalf("%d %s %s", code, stdout, stderr)
	}
	if strings.Contains(stdout+stderr, "key-1") {
		t.Error("the key was printed")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "# mine\ninterval = 30s\nlabel = env=prod\nlabel = team=shop\nserver = " + s.URL + "\nkey = key-1\n"; string(text) != want {
		t.Errorf("the file is\n%s\nwant\n%s", text, want)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-s.arrived
		cancel()
	}()
	if code, _, stderr := command(ctx, nil, "--config="+file, "--state="+filepath.Join(dir, "state"), "--only=loadavg"); code != 0 || strings.Contains(stderr, "key-1") {
		t.Errorf("run: %d %s", code, stderr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error(f)
	}
	h := s.enrols[0].Host
	h.Interval = 0
	if err := h.Check(); err != nil || h.Labels["team"] != "shop" || h.Agent != version() {
		t.Errorf("it said %+v, %v", h, err)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, args := range [][]string{{"dry-run", "--server", s.URL, "--only", "loadavg,uname"}, {"--dry-run", "--server", s.URL, "--only", "loadavg,uname"}} {
		code, stdout, stderr := command(t.Context(), nil, append(args, "--config", os.DevNull, "--label", "env=prod", "--instance", "web-7")...)
		if code != 0 || stderr != "" {
			t.Fatalf("%d %s", code, stderr)
		}
		for _, want := range []string{`#   "instance": "web-7"`, "# TYPE node_load1 gauge", `node_load1{env="prod",instance="web-7",job="node"} `, "node_uname_info{"} {
			if runtime.GOOS == "linux" && !strings.Contains(stdout, want) {
				t.Errorf("no %s in\n%s", want, stdout)
			}
		}
	}
	if len(s.hellos)+len(s.enrols)+s.writes > 0 {
		t.Error("something was sent")
	}
}

// TestPrecedence: flags before the environment before the file.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("instance = file\nonly = loadavg, uname\nlabel = a=1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("file", func(t *testing.T) {
		_, stdout, _ := command(t.Context(), nil, "dry-run", "--config", file)
		if !strings.Contains(stdout, `"instance": "file"`) || !strings.Contains(stdout, `"a": "1,2"`) {
			t.Error(stdout)
		}
	})
	t.Run("flag", func(t *testing.T) {
		_, stdout, _ := command(t.Context(), nil, "dry-run", "--config", file, "--instance", "flag")
		if !strings.Contains(stdout, `"instance": "flag"`) {
			t.Error(stdout)
		}
	})
}

func TestEnvironmentBeforeFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("instance = file\nonly = loadavg\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stdout, stderr := command(t.Context(), []string{"KEPT_AGENT_INSTANCE=environment"}, "dry-run", "--config", file)
	if !strings.Contains(stdout, `"instance": "environment"`) {
		t.Error(stdout, stderr)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for want, args := range map[string][]string{
		"not enrolled yet":            {"--config", os.DevNull},
		`there is no setting "sever"`: {"--config", file("a", "sever = https://x.example\n")},
		"line 2: want name = value":   {"--config", file("b", "# x\nserver\n")},
		"begins with https://":        {"--config", os.DevNull, "--server", "kept.example", "--state", dir},
		"there is no collector cpus":  {"--config", os.DevNull, "--server", "http://x.example", "--state", dir, "--without", "cpus"},
		"no address to scrape":        {"--config", os.DevNull, "--server", "http://x.example", "--state", dir, "--scrape", "a=localhost:1"},
		"probes begin with":           {"--config", os.DevNull, "--server", "http://x.example", "--state", dir, "--probe", "a=icmp://x"},
		"label nonsense":              {"--config", os.DevNull, "--server", "http://x.example", "--label", "nonsense"},
		"no such file":                {"--config", os.DevNull, "--server", "https://x.example", "--state", dir, "--ca", filepath.Join(dir, "none")},
		"unknown flag --colour":       {"--colour"},
		"interval must be whole seco": {"--config", os.DevNull, "--server", "http://x.example", "--state", dir, "--interval", "1500ms"},
	} {
		if code, _, stderr := command(t.Context(), nil, args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
}

func TestHelpAndUnit(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t.Context(), nil, "--help")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "enrol") || !strings.Contains(stdout, "KEPT_AGENT_SERVER") {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	code, stdout, _ = command(t.Context(), nil, "install")
	for _, want := range []string{"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "LoadCredential=config:/etc/kept-agent/config"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%d: no %s in\n%s", code, want, stdout)
		}
	}
	if code, stdout, _ := command(t.Context(), []string{"KEPT_AGENT_CONFIG=/nowhere/config"}, "version"); code != 0 || !strings.HasPrefix(stdout, "kept-agent "+version()) {
		t.Errorf("%d %s", code, stdout)
	}
}

// TestDocumentedSettings: docs/agent.md has every setting, and none that there is not.
func TestDocumentedSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n## Settings\n"))
	known := map[string]bool{}
	for _, s := range new(settings).table() {
		known[s.name] = true
		if !bytes.Contains(text, []byte("| `"+s.name+"` |")) {
			t.Errorf("docs/agent.md has no row for %s", s.name)
		}
	}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 4 && strings.HasPrefix(cells[1], " `") && !known[strings.Trim(cells[1], " `")] {
			t.Errorf("docs/agent.md has a row for %s, which is no setting", cells[1])
		}
	}
}

// TestProbeInterval: probes are tried as often as the file says, by default once a minute.
func TestProbeInterval(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"probe = shop=http://x.example\n": time.Minute, "probe-every = 5s\nprobe = shop=http://x.example\n": 5 * time.Second} {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := readLine([]string{"--config", path}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := l.agentConfig(nil); err != nil || len(c.Probes) != 1 || c.Probes[0].Every != want {
			t.Errorf("%q: %+v, %v", text, c.Probes, err)
		}
	}
}
