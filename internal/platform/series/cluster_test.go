//go:build cluster

package series_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/platform/series/seriestest"
)

// TestRealPrometheus runs the suite against the program that PROMETHEUS names, a server of its own for each case. See
// test/compliance/series-cluster.sh.
func TestRealPrometheus(t *testing.T) {
	seriestest.Run(t, seriestest.Tester{Lazy: true, Start: func(t *testing.T) func() series.Store {
		address := realPrometheus(t, os.Getenv("PROMETHEUS"))
		return func() series.Store { return openRemote(t, series.RemoteConfig{URL: address}) }
	}})
}

func realPrometheus(t *testing.T, program string) (address string) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("storage:\n  tsdb: {out_of_order_time_window: %ds}\n", int(seriestest.Window.Seconds()))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	place := l.Addr().String()
	l.Close()
	c := exec.Command(program, "--config.file="+conf, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--storage.tsdb.retention.time=10y", "--web.listen-address="+place,
		"--web.enable-remote-write-receiver", "--web.enable-admin-api", "--enable-feature=exemplar-storage")
	log, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said, read := bufio.NewScanner(log), make(chan struct{})
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		<-read
		_ = c.Wait()
	})
	ready := false
	for !ready && said.Scan() {
		t.Log(said.Text())
		ready = strings.Contains(said.Text(), "ready to receive web requests")
	}
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, log)
	}()
	if !ready {
		t.Fatal("Prometheus does not start")
	}
	return "http://" + place
}
