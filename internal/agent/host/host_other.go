//go:build !linux

package host

import (
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	gohost "github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/sensors"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/agentapi"
)

// Host reads one machine. It is for one goroutine.
type Host struct {
	opts       Options
	ignoredNet *regexp.Regexp
	textfiles  textfiles
	failed     map[string]bool
}

type system struct{}

var collectors = []collector{
	{"cpu", (*Host).cpu},
	{"diskstats", (*Host).diskstats},
	{"filesystem", (*Host).filesystem},
	{"loadavg", (*Host).loadavg},
	{"meminfo", (*Host).meminfo},
	{"netdev", (*Host).netdev},
	{"textfile", (*Host).textfile},
	{"time", (*Host).time},
	{"uname", (*Host).uname},
}

var slow = []collector{
	{"processes", (*Host).processes},
	{"thermal_zone", (*Host).temperatures},
}

// New returns a reader of this machine.
func New(o Options) *Host {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Host{opts: o, failed: map[string]bool{}}
	if o.IgnoreDevices != "" {
		h.ignoredNet = regexp.MustCompile(o.IgnoreDevices)
	}
	return h
}

// Close lets go of what it holds open.
func (h *Host) Close() {}

var (
	descCPU      = counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.")
	descBootTime = gauge("node_boot_time_seconds", "Node boot time, in unixtime.")
	descTime     = gauge("node_time_seconds", "System time in seconds since epoch (1970).")
	descLoad1    = gauge("node_load1", "1m load average.")
	descLoad5    = gauge("node_load5", "5m load average.")
	descLoad15   = gauge("node_load15", "15m load average.")
)

func (h *Host) cpu(s *metric.Set) error {
	all, err := cpu.Times(true)
	for i, t := range all {
		n := strconv.Itoa(i)
		s.Add(descCPU, t.User, "cpu", n, "mode", "user")
		s.Add(descCPU, t.System, "cpu", n, "mode", "system")
		s.Add(descCPU, t.Idle, "cpu", n, "mode", "idle")
		s.Add(descCPU, t.Nice, "cpu", n, "mode", "nice")
		s.Add(descCPU, t.Irq, "cpu", n, "mode", "irq")
	}
	return err
}

func (h *Host) loadavg(s *metric.Set) error {
	l, err := load.Avg()
	if err != nil {
		return err
	}
	s.Add(descLoad1, l.Load1)
	s.Add(descLoad5, l.Load5)
	s.Add(descLoad15, l.Load15)
	return nil
}

func (h *Host) time(s *metric.Set) error {
	s.Add(descTime, float64(time.Now().UnixNano())/1e9)
	boot, err := gohost.BootTime()
	if err == nil {
		s.Add(descBootTime, float64(boot))
	}
	return err
}

// The names are those of Linux, for what means the same.
var (
	descMemTotal  = gauge("node_memory_MemTotal_bytes", "Memory information field MemTotal_bytes.")
	descMemFree   = gauge("node_memory_MemFree_bytes", "Memory information field MemFree_bytes.")
	descMemAvail  = gauge("node_memory_MemAvailable_bytes", "Memory information field MemAvailable_bytes.")
	descSwapTotal = gauge("node_memory_SwapTotal_bytes", "Memory information field SwapTotal_bytes.")
	descSwapFree  = gauge("node_memory_SwapFree_bytes", "Memory information field SwapFree_bytes.")
)

func (h *Host) meminfo(s *metric.Set) error {
	m, err := mem.VirtualMemory()
	if err != nil {
		return err
	}
	s.Add(descMemTotal, float64(m.Total))
	s.Add(descMemFree, float64(m.Free))
	s.Add(descMemAvail, float64(m.Available))
	if swap, err := mem.SwapMemory(); err == nil {
		s.Add(descSwapTotal, float64(swap.Total))
		s.Add(descSwapFree, float64(swap.Free))
	}
	return nil
}

var (
	descReads     = counter("node_disk_reads_completed_total", "The total number of reads completed successfully.")
	descReadBytes = counter("node_disk_read_bytes_total", "The total number of bytes read successfully.")
	descWrites    = counter("node_disk_writes_completed_total", "The total number of writes completed successfully.")
	descWritten   = counter("node_disk_written_bytes_total", "The total number of bytes written successfully.")
	descIOTime    = counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.")
)

func (h *Host) diskstats(s *metric.Set) error {
	all, err := disk.IOCounters()
	for name, d := range all {
		s.Add(descReads, float64(d.ReadCount), "device", name)
		s.Add(descReadBytes, float64(d.ReadBytes), "device", name)
		s.Add(descWrites, float64(d.WriteCount), "device", name)
		s.Add(descWritten, float64(d.WriteBytes), "device", name)
		s.Add(descIOTime, float64(d.IoTime)/1000, "device", name)
	}
	return err
}

var (
	descFSSize     = gauge("node_filesystem_size_bytes", "Filesystem size in bytes.")
	descFSFree     = gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.")
	descFSAvail    = gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.")
	descFSFiles    = gauge("node_filesystem_files", "Filesystem total file nodes.")
	descFSFreeNode = gauge("node_filesystem_files_free", "Filesystem total free file nodes.")
)

func (h *Host) filesystem(s *metric.Set) error {
	all, err := disk.Partitions(false)
	for _, p := range all {
		u, err := disk.Usage(p.Mountpoint)
		if err != nil || u.Total == 0 {
			continue
		}
		labels := []string{"device", p.Device, "fstype", p.Fstype, "mountpoint", p.Mountpoint}
		s.Add(descFSSize, float64(u.Total), labels...)
		s.Add(descFSFree, float64(u.Free), labels...)
		s.Add(descFSAvail, float64(u.Free), labels...)
		s.Add(descFSFiles, float64(u.InodesTotal), labels...)
		s.Add(descFSFreeNode, float64(u.InodesFree), labels...)
	}
	return err
}

var (
	descNetIn     = counter("node_network_receive_bytes_total", "Network device statistic receive_bytes.")
	descNetInP    = counter("node_network_receive_packets_total", "Network device statistic receive_packets.")
	descNetInErr  = counter("node_network_receive_errs_total", "Network device statistic receive_errs.")
	descNetInDrop = counter("node_network_receive_drop_total", "Network device statistic receive_drop.")
	descNetOut    = counter("node_network_transmit_bytes_total", "Network device statistic transmit_bytes.")
	descNetOutP   = counter("node_network_transmit_packets_total", "Network device statistic transmit_packets.")
	descNetOutErr = counter("node_network_transmit_errs_total", "Network device statistic transmit_errs.")
	descNetOutDro = counter("node_network_transmit_drop_total", "Network device statistic transmit_drop.")
)

func (h *Host) netdev(s *metric.Set) error {
	all, err := net.IOCounters(true)
	for _, n := range all {
		if h.ignoredNet != nil && h.ignoredNet.MatchString(n.Name) {
			continue
		}
		s.Add(descNetIn, float64(n.BytesRecv), "device", n.Name)
		s.Add(descNetInP, float64(n.PacketsRecv), "device", n.Name)
		s.Add(descNetInErr, float64(n.Errin), "device", n.Name)
		s.Add(descNetInDrop, float64(n.Dropin), "device", n.Name)
		s.Add(descNetOut, float64(n.BytesSent), "device", n.Name)
		s.Add(descNetOutP, float64(n.PacketsSent), "device", n.Name)
		s.Add(descNetOutErr, float64(n.Errout), "device", n.Name)
		s.Add(descNetOutDro, float64(n.Dropout), "device", n.Name)
	}
	return err
}

var descUname = gauge("node_uname_info", "Labeled system information as provided by the uname system call.")

func (h *Host) uname(s *metric.Set) error {
	i, err := gohost.Info()
	if err != nil {
		return err
	}
	s.Add(descUname, 1, "sysname", i.OS, "release", i.KernelVersion, "version", i.PlatformVersion, "machine", i.KernelArch, "nodename", i.Hostname)
	return nil
}

var descZoneTemp = gauge("node_thermal_zone_temp", "Zone temperature in Celsius")

func (h *Host) temperatures(s *metric.Set) error {
	all, _ := sensors.SensorsTemperatures() // with an error for those that could not be read
	if len(all) == 0 {
		return errNoData
	}
	for _, t := range all {
		s.Add(descZoneTemp, t.Temperature, "zone", t.SensorKey, "type", t.SensorKey)
	}
	return nil
}

// Describe is what there is to know about the machine as such.
func (h *Host) Describe() agentapi.Host {
	d := agentapi.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	d.Name, _ = os.Hostname()
	id := ""
	if i, err := gohost.Info(); err == nil {
		d.Platform = strings.TrimSpace(i.Platform + " " + i.PlatformVersion)
		d.Kernel, d.BootTime, id = i.KernelVersion, int64(i.BootTime), i.HostID
	}
	if m, err := mem.VirtualMemory(); err == nil {
		d.Memory = int64(m.Total)
	}
	d.ID = identity(id, d.Name)
	return d
}
