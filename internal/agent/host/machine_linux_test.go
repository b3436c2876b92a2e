package host

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/internal/agent/metric"
)

var update = flag.Bool("update", false, "write the golden file")

// machine makes the folders of testdata/machine.txt.
func machine(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/machine.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, rest, _ := strings.Cut(string(text), "\n-- ")
	for part := range strings.SplitSeq(rest, "\n-- ") {
		name, body, _ := strings.Cut(part, " --\n")
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.TrimSuffix(body, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// answers are what the kernel of the made-up machine says.
func answers(statfs func(string, *unix.Statfs_t) error) system {
	return system{
		uname: func(u *unix.Utsname) error {
			copy(u.Sysname[:], "Linux")
			copy(u.Nodename[:], "db-1")
			copy(u.Release[:], "6.12.43")
			copy(u.Version[:], "#1 SMP")
			copy(u.Machine[:], "x86_64")
			copy(u.Domainname[:], "(none)")
			return nil
		},
		statfs: statfs,
		adjtimex: func(t *unix.Timex) (int, error) {
			t.Status, t.Offset, t.Maxerror, t.Tick, t.Freq = 0x2001, 1500, 16000, 10000, 65536
			return 0, nil
		},
		now: func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) },
	}
}

func disks(path string, to *unix.Statfs_t) error {
	to.Bsize, to.Blocks, to.Bfree, to.Bavail, to.Files, to.Ffree = 4096, 1000, 400, 300, 50, 20
	return nil
}

func reading(dir string, statfs func(string, *unix.Statfs_t) error) Options {
	return Options{Proc: dir + "/proc", Sys: dir + "/sys", Root: dir + "/root", TextfileDir: dir + "/root/text", system: answers(statfs)}
}

func text(t testing.TB, collect func(*metric.Set)) string {
	t.Helper()
	s := metric.NewSet(100_000)
	s.Begin()
	collect(s)
	var b bytes.Buffer
	if err := metric.WriteText(&b, s.End()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestMachine compares what is told of the made-up machine with testdata/machine.golden.
func TestMachine(t *testing.T) {
	t.Parallel()
	dir := machine(t)
	if err := os.Chtimes(dir+"/root/text/backup.prom", time.Time{}, time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	h := New(reading(dir, disks))
	defer h.Close()
	got := text(t, func(s *metric.Set) {
		h.Collect(s)
		h.CollectSlow(s)
	})
	got = strings.ReplaceAll(got, dir, "")
	if *update {
		if err := os.WriteFile("testdata/machine.golden", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/machine.golden")
	if err != nil {
		t.Fatal(err)
	}
	diff(t, got, string(want))
}

func diff(t *testing.T, got, want string) {
	t.Helper()
	have, need := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(got) {
		have[line] = true
	}
	for line := range strings.Lines(want) {
		need[line] = true
		if !have[line] {
			t.Errorf("missing: %s", line)
		}
	}
	for line := range have {
		if !need[line] {
			t.Errorf("too much: %s", line)
		}
	}
}

// TestDeadServerDoesNotHang mounts a file system that never answers: it is told as broken, each time at once after the
// first, and costs one waiting goroutine.
func TestDeadServerDoesNotHang(t *testing.T) {
	t.Parallel()
	dir := machine(t)
	asked, dead := make(chan struct{}, 10), make(chan struct{})
	defer close(dead)
	o := reading(dir, func(path string, to *unix.Statfs_t) error {
		if strings.HasSuffix(path, "/srv/nas") {
			asked <- struct{}{}
			<-dead
		}
		return disks(path, to)
	})
	o.Only = []string{"filesystem"}
	h := New(o)
	defer h.Close()
	for range 3 {
		got := text(t, h.Collect)
		for _, want := range []string{
			`node_filesystem_device_error{device="nas:/export",fstype="nfs4",mountpoint="/srv/nas"} 1`,
			`node_filesystem_size_bytes{device="/dev/dm-0",fstype="ext4",mountpoint="/"} 4.096e+06`,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in\n%s", want, got)
			}
		}
	}
	if len(asked) != 1 {
		t.Errorf("the dead server was asked %d times", len(asked))
	}
}

// TestProcessorUse looks twice, a minute apart.
func TestProcessorUse(t *testing.T) {
	t.Parallel()
	dir := machine(t)
	o := reading(dir, disks)
	o.Only, o.TopProcesses = []string{"processes"}, 2
	now := o.system.now()
	o.system.now = func() time.Time { return now }
	h := New(o)
	defer h.Close()
	if got := text(t, h.CollectSlow); strings.Contains(got, "kept_process_cpu_ratio") {
		t.Errorf("processor use after one look:\n%s", got)
	}
	stat := func(pid, comm string, ticks, started string) {
		line := pid + " (" + comm + ") S 1 1 1 0 -1 0 0 0 0 0 " + ticks + " 0 0 0 20 0 1 0 " + started + " 1000 50000 1 0 0\n"
		if err := os.MkdirAll(dir+"/proc/"+pid, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/proc/"+pid+"/stat", []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stat("200", "postgres", "8000", "100") // had 5000
	stat("201", "postgres", "600", "999")  // another process with the same number, 600 since it began
	stat("500", "busy", "6000", "888")     // new
	now = now.Add(time.Minute)
	got := text(t, h.CollectSlow)
	for _, want := range []string{
		`kept_process_cpu_ratio{process="postgres"} 0.6`, `kept_process_cpu_ratio{process="busy"} 1`, `kept_process_count{process="postgres"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "systemd") {
		t.Errorf("more than those that use most:\n%s", got)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	h := New(reading(machine(t), disks))
	defer h.Close()
	d := h.Describe()
	d.Instance, d.Agent = "x", "y"
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	if d.Name != "db-1" || d.Platform != "Debian GNU/Linux 13 (trixie)" || d.Kernel != "6.12.43" || d.Memory != 3742148*1024 || d.BootTime != 1418183276 {
		t.Errorf("%+v", d)
	}
	if strings.Contains(d.ID, "0123456789abcdef") || len(d.ID) != 32 {
		t.Errorf("id %s", d.ID)
	}
}
