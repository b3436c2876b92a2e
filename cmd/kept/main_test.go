package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// asMain makes the test binary be kept, so that tests run the real process.
const asMain = "KEPT_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	return cmd
}

func TestServeUntilItIsTold(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		cmd := command(t, "serve", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--log-format", "json")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		log := bufio.NewReader(stderr)
		url := readyURL(t, log)
		res, err := http.Get(url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("readyz: %d", res.StatusCode)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(log)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v\n%s", signal, err, rest)
		}
	}
}

// readyURL reads the log up to the line that says where the server listens.
func readyURL(t *testing.T, log *bufio.Reader) string {
	t.Helper()
	address := regexp.MustCompile(`"msg":"kept is ready","url":"([^"]+)","data":"/[^"]+","key":"/[^"]+instance.key"`)
	for {
		line, err := log.ReadString('\n')
		if err != nil {
			t.Fatalf("the server ended before it was ready: %v", err)
		}
		if m := address.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args, want string
		code       int
	}{
		{"version", `^kept \S+ go1\.\S+ \w+/\w+\n$`, 0},
		{"serve --help", `--data=DIR[\s\S]*\$KEPT_DATA`, 0},
		{"srve", `kept: unexpected argument srve, did you mean "serve"\?`, 1},
		{"serve --adr x", `unknown flag --adr, did you mean "--addr"\?`, 1},
		{"serve --config /does/not/exist", `kept: --config: open /does/not/exist`, 1},
		{"serve --log-level loud", `KEPT_LOG_LEVEL`, 1},
	} {
		var output bytes.Buffer
		code := run(t.Context(), strings.Fields(test.args), nil, &output, &output)
		if code != test.code || !regexp.MustCompile(test.want).MatchString(output.String()) {
			t.Errorf("%s: code %d\n%s", test.args, code, output.String())
		}
	}
}

func TestSetupAndPromises(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	kept := func(args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, []string{"KEPT_DATA=" + data, "KEPT_LOG_LEVEL=error"}, &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	code, text := kept("setup", "--email", "ada@example.com", "--password", "correct horse battery", "--workspace", "Engines", "--json")
	var made struct {
		WorkspaceID string `json:"workspace_id"`
		APIKey      string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(text), &made); err != nil || code != 0 || len(made.WorkspaceID) != 26 || len(made.APIKey) < 10 {
		t.Errorf("setup: code %d, %v, %s", code, err, text)
	}
	code, text = kept("setup", "--email", "ada@example.com", "--password", "something else 1")
	if code != 1 || text != "kept: There is an account with this address, and it has another password.\n" {
		t.Errorf("setup with another password: code %d, %s", code, text)
	}
	code, text = kept("promises", "--json")
	var report struct{ Totals map[string]int }
	if err := json.Unmarshal([]byte(text), &report); err != nil || code != 0 || report.Totals["kept"] == 0 {
		t.Errorf("promises: code %d, %v, %s", code, err, text)
	}
	heads := regexp.MustCompile(`^(?s)` + made.WorkspaceID + `  [0-9a-f]{64}\n.*instance +[0-9a-f]{64}\n\d+ chains, \d+ lines, 0 broken\n$`)
	if code, text = kept("audit"); code != 0 || !heads.MatchString(text) {
		t.Errorf("audit: code %d, %s", code, text)
	}
	for _, chain := range []string{"instance", made.WorkspaceID} {
		var exported struct {
			Chain  string
			Events []any
		}
		code, text = kept("audit", "--chain", chain)
		if err := json.Unmarshal([]byte(text), &exported); err != nil || code != 0 || exported.Chain != chain || len(exported.Events) == 0 {
			t.Errorf("audit --chain %s: code %d, %v, %s", chain, code, err, text)
		}
	}
	if code, text = kept("audit", "--chain", "nope"); code != 1 {
		t.Errorf("audit --chain nope: code %d, %s", code, text)
	}
}
