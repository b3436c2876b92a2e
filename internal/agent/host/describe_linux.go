package host

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/wire/agentapi"
)

// Describe is what there is to know about the machine as such.
func (h *Host) Describe() agentapi.Host {
	d := agentapi.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	d.Name, _ = os.Hostname()
	var u unix.Utsname
	if h.opts.system.uname(&u) == nil {
		d.Name = unix.ByteSliceToString(u.Nodename[:])
		d.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if r, err := readOSRelease(&h.read, h.opts.Root); err == nil {
		d.Platform = r["PRETTY_NAME"]
	}
	if text, err := h.read.file(h.opts.Proc + "/meminfo"); err == nil {
		_, rest, _ := strings.Cut(text, "MemTotal:")
		kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		d.Memory = int64(float(kilobytes)) * 1024
	}
	if text, err := h.read.file(h.opts.Proc + "/stat"); err == nil {
		_, rest, _ := strings.Cut(text, "\nbtime ")
		seconds, _, _ := strings.Cut(rest, "\n")
		d.BootTime = int64(float(seconds))
	}
	machine, _ := h.read.line(h.opts.Root + "/etc/machine-id")
	d.ID = identity(machine, d.Name)
	return d
}
