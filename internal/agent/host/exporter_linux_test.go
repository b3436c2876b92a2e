package host

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/internal/agent/expo"
)

// notCompared are what a node_exporter tells of itself, and of the machine it really runs on.
var notCompared = regexp.MustCompile(`^(go_|process_|promhttp_|node_exporter_|node_scrape_collector_)`)

// ofTheKernel are asked of the kernel, which cannot be made up for another process.
var ofTheKernel = regexp.MustCompile(`^(node_filesystem|node_uname|node_timex|node_time_(seconds|zone)|node_os_|node_disk_.*info|node_selinux|node_network|node_arp|node_sockstat_(TCP|UDP)_mem)`)

// TestAgainstNodeExporter compares with a real node_exporter, if KEPT_NODE_EXPORTER says where one is: what it tells of
// this machine and of the made-up one has the same names, labels, types and values here. Values of this machine may
// differ by what happened in between.
func TestAgainstNodeExporter(t *testing.T) {
	program := os.Getenv("KEPT_NODE_EXPORTER")
	if program == "" {
		return // TestMachine has what came of it
	}
	t.Run("this machine", func(t *testing.T) {
		theirs := exporter(t, program)
		h := New(Options{TextfileDir: t.TempDir()})
		defer h.Close()
		compare(t, theirs, text(t, h.Collect), notCompared, .3)
	})
	t.Run("made up", func(t *testing.T) {
		dir := machine(t)
		theirs := exporter(t, program, "--path.procfs="+dir+"/proc", "--path.sysfs="+dir+"/sys", "--path.udev.data="+dir+"/root/run/udev/data",
			"--collector.textfile.directory="+dir+"/root/text")
		h := New(reading(dir, func(string, *unix.Statfs_t) error { return errNoData }))
		defer h.Close()
		skip := regexp.MustCompile(notCompared.String() + "|" + ofTheKernel.String())
		compare(t, theirs, text(t, h.Collect), skip, 0)
	})
}

func exporter(t *testing.T, program string, args ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "--web.listen-address="+address, "--collector.netdev.device-exclude=",
		`--collector.filesystem.mount-points-exclude=`+ignoredMounts.String())...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for ctx.Err() == nil {
		answer, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			continue
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	t.Fatal("node_exporter does not answer")
	return ""
}

// compare checks that all of theirs is in ours.
func compare(t *testing.T, theirs, ours string, skip *regexp.Regexp, tolerance float64) {
	t.Helper()
	want, got := series(t, theirs), series(t, ours)
	n := 0
	for name, w := range want {
		if skip.MatchString(name) {
			continue
		}
		n++
		g, ok := got[name]
		switch {
		case !ok:
			t.Errorf("missing: %s %v", name, w.Value)
		case g.Desc.Type != w.Desc.Type:
			t.Errorf("%s is a %v, and a %v there", name, g.Desc.Type, w.Desc.Type)
		case math.Abs(g.Value-w.Value) > tolerance*math.Max(math.Abs(w.Value), 100)+1e-9*math.Abs(w.Value):
			t.Errorf("%s is %v, and %v there", name, g.Value, w.Value)
		}
	}
	t.Logf("%d series compared", n)
	if n < 150 {
		t.Errorf("only %d series", n)
	}
}

func series(t *testing.T, text string) map[string]expo.Sample {
	t.Helper()
	out := map[string]expo.Sample{}
	var r expo.Reader
	err := r.Read(text, false, func(s expo.Sample) error {
		pairs := map[string]string{}
		for i := 0; i < len(s.Labels); i += 2 {
			if s.Labels[i+1] != "" { // an empty label is none
				pairs[s.Labels[i]] = s.Labels[i+1]
			}
		}
		out[s.Desc.Name+strings.TrimPrefix(fmt.Sprint(pairs), "map")] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
