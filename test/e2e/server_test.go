package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/testkit/external"
)

// binary is kept, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kept-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kept")
	cmd := exec.Command("go", "build", "-o", path, "github.com/kept-dev/kept/cmd/kept")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build kept: %w\n%s", err, out)
	}
	return path, nil
})

// TestMain removes what was built.
func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// place is a data directory, and on PostgreSQL a database, that servers run in one after the other.
type place struct {
	data, database string
	workspace      kernel.WorkspaceID // once it is set up
}

// command prepares a kept command for the place.
func (p *place) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	external.Check(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KEPT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "KEPT_DATA="+p.data, "KEPT_LOG_FORMAT=json")
	if p.database != "" {
		cmd.Env = append(cmd.Env, "KEPT_DATABASE="+p.database)
	}
	return cmd
}

// run runs a command to its end and returns what it prints.
func (p *place) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := p.command(t, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kept %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// setup makes a workspace and returns its key.
func (p *place) setup(t *testing.T) (key string) {
	t.Helper()
	var made struct {
		WorkspaceID kernel.WorkspaceID `json:"workspace_id"`
		APIKey      string             `json:"api_key"`
	}
	out := p.run(t, "setup", "--email", "ada@example.com", "--password", "correct horse battery", "--workspace", "Engines", "--json")
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.APIKey == "" {
		t.Fatalf("setup: %v in %s", err, out)
	}
	p.workspace = made.WorkspaceID
	return made.APIKey
}

// server is a running `kept serve`.
type server struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it answers requests
	at    string        // its URL, once it is ready
	ended chan struct{} // closed when its log has ended
}

func (p *place) serve(t *testing.T) *server {
	t.Helper()
	s := &server{cmd: p.command(t, "serve", "--addr", "127.0.0.1:0"), ready: make(chan struct{}), ended: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	external.Check(t, err)
	external.Check(t, s.cmd.Start())
	go func() {
		defer close(s.ended)
		s.follow(t, stderr)
	}()
	return s
}

// follow reads the log: where the server listens, and what went wrong.
func (s *server) follow(t *testing.T, log io.Reader) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Level, Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			t.Logf("server: %s", lines.Text())
			continue
		}
		if line.Msg == "kept is ready" {
			s.at = line.URL
			close(s.ready)
		}
		if line.Level == "ERROR" {
			t.Errorf("server: %s", lines.Text())
		}
	}
}

// url waits until the server answers requests.
func (s *server) url(t *testing.T) string {
	t.Helper()
	select {
	case <-s.ready:
		return s.at
	case <-s.ended:
		t.Fatal("the server ended before it was ready")
	case <-time.After(patience):
		t.Fatalf("the server is not ready after %v", patience)
	}
	return ""
}

// kill ends the process as a power cut would, as far as the process is concerned.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	err := s.cmd.Wait()
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("the server ended by itself: %v", err)
	}
}

// rawJob is a row of the list as it was sent.
type rawJob = json.RawMessage

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// get reads an answer of the API, and waits when it asks for that.
func get(t *testing.T, url, key string, into any) {
	t.Helper()
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		external.Check(t, err)
		r.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(r)
		external.Check(t, err)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests {
			seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
			<-time.After(time.Duration(max(seconds, 1)) * time.Second)
			continue
		}
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v: %s", url, res.StatusCode, err, body)
		}
		decode(t, string(body), into)
		return
	}
}
