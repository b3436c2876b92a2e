package intake

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

// childDir tells a run of this test binary to be the server that is killed, on a store in that directory.
const childDir = "KEPT_INTAKE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := serveChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveChild serves the ways in and prints where, until it is killed.
func serveChild(dir string) error {
	logger := slog.New(slog.DiscardHandler)
	store, err := series.OpenTSDB(series.Config{Dir: dir, Logger: logger})
	if err != nil {
		return err
	}
	in, err := New(Deps{Store: store, Clock: kernel.SystemClock, Logger: logger, ByToken: byToken})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = in.RemoteWrite(w, r) }))
}

// TestKilledServerKeepsWhatItAcknowledged kills a real server process while it takes samples, in order and out of order,
// and then looks for each sample that was answered with success.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	base := time.Now().Add(-time.Hour).Truncate(time.Minute)
	for round := range 3 {
		sendUntilKilled(t, dir, round, base, acknowledged)
	}
	store, err := series.OpenTSDB(series.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	stored := map[string]bool{}
	for _, line := range read(t, store, ws) {
		stored[line] = true
	}
	lost := 0
	for line := range acknowledged {
		if !stored[line] {
			if lost++; lost < 5 {
				t.Errorf("acknowledged, and lost: %s", line)
			}
		}
	}
	if len(acknowledged) < 3*perRound || lost > 0 {
		t.Errorf("%d samples were acknowledged, %d of them are lost", len(acknowledged), lost)
	}
}

const perRound = 60

func sendUntilKilled(t *testing.T, dir string, round int, base time.Time, acknowledged map[string]bool) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line := make([]byte, 100)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + strings.TrimSpace(string(line[:n])) + writePath
	killed := make(chan struct{})
	for i := 0; ; i++ {
		if i == perRound { // while requests go on, so that one of them is cut off
			go func() { _ = cmd.Process.Kill(); close(killed) }()
		}
		name := labels.FromStrings("__name__", fmt.Sprintf("m%d", i%7), "round", fmt.Sprint(round))
		// Every third comes late, so that it goes to the log of what is out of order.
		second := int(base.Sub(start)/time.Second) + i*10
		if i%3 == 2 {
			second -= 600
		}
		body, err := newRequest2().add(name, float64(i), second).done().Marshal()
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("POST", url, bytes.NewReader(s2.EncodeSnappy(nil, body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", type2)
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			<-killed
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("answered %d", resp.StatusCode)
		}
		acknowledged[fmt.Sprintf("%s %d %d", name, second, i)] = true
	}
}
