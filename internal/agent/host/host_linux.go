package host

import (
	"log/slog"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// Host reads one machine. It is for one goroutine.
type Host struct {
	opts  Options
	read  reader
	descs map[string]*metric.Desc

	cpus       map[string]*[10]float64 // what was told of each processor last
	stuck      stuckMounts
	ignoredNet *regexp.Regexp
	textfiles  textfiles
	users      processes
	names      containerNames
	bus        *bus
	failed     map[string]bool // collectors that failed last time
}

// system is what the kernel tells by calls rather than files.
type system struct {
	uname    func(*unix.Utsname) error
	statfs   func(path string, to *unix.Statfs_t) error
	adjtimex func(*unix.Timex) (int, error)
	now      func() time.Time
}

// collectors run at each interval. They have the names that node_exporter gives them; the last ones are ours.
var collectors = []collector{
	{"arp", (*Host).arp},
	{"conntrack", (*Host).conntrack},
	{"cpu", (*Host).cpu},
	{"cpufreq", (*Host).cpufreq},
	{"diskstats", (*Host).diskstats},
	{"entropy", (*Host).entropy},
	{"filefd", (*Host).filefd},
	{"filesystem", (*Host).filesystem},
	{"hwmon", (*Host).hwmon},
	{"loadavg", (*Host).loadavg},
	{"mdadm", (*Host).mdadm},
	{"meminfo", (*Host).meminfo},
	{"netclass", (*Host).netclass},
	{"netdev", (*Host).netdev},
	{"netstat", (*Host).netstat},
	{"os", (*Host).osRelease},
	{"pressure", (*Host).pressure},
	{"selinux", (*Host).selinux},
	{"sockstat", (*Host).sockstat},
	{"softnet", (*Host).softnet},
	{"stat", (*Host).stat},
	{"thermal_zone", (*Host).thermalZone},
	{"time", (*Host).time},
	{"timex", (*Host).timex},
	{"udp_queues", (*Host).udpQueues},
	{"uname", (*Host).uname},
	{"vmstat", (*Host).vmstat},
	{"containers", (*Host).containers},
	{"textfile", (*Host).textfile},
}

// slow collectors cost more, or their answers change rarely. They run once a minute.
var slow = []collector{
	{"processes", (*Host).processes},
	{"systemd", (*Host).systemd},
}

// New returns a reader of this machine.
func New(o Options) *Host {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.Sys == "" {
		o.Sys = "/sys"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.system.now == nil {
		o.system = system{unix.Uname, unix.Statfs, unix.Adjtimex, time.Now}
	}
	h := &Host{opts: o, descs: map[string]*metric.Desc{}, cpus: map[string]*[10]float64{}, failed: map[string]bool{}}
	if o.IgnoreDevices != "" {
		h.ignoredNet = regexp.MustCompile(o.IgnoreDevices)
	}
	h.bus = &bus{path: o.Root + "/run/dbus/system_bus_socket"}
	return h
}

// Close lets go of what it holds open.
func (h *Host) Close() { h.bus.close() }
