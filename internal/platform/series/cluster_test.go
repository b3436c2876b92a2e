//go:build cluster

package series_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

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
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "--config.file="+conf, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--storage.tsdb.retention.time=10y", "--web.listen-address="+place,
		"--web.enable-remote-write-receiver", "--web.enable-admin-api", "--enable-feature=exemplar-storage")
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
		log.Close()
	})
	address = "http://" + place
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if res, err := http.Get(address + "/-/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return address
			}
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("Prometheus does not start:\n%s", text)
		}
	}
}
