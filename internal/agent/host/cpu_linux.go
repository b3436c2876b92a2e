package host

import (
	"strings"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// userHZ is the unit of times in /proc: a hundredth of a second on every Linux.
const userHZ = 100

var (
	descCPU      = counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.")
	descCPUGuest = counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.")

	descContextSwitches = counter("node_context_switches_total", "Total number of context switches.")
	descInterrupts      = counter("node_intr_total", "Total number of interrupts serviced.")
	descForks           = counter("node_forks_total", "Total number of forks.")
	descBootTime        = gauge("node_boot_time_seconds", "Node boot time, in unixtime.")
	descProcsRunning    = gauge("node_procs_running", "Number of processes in runnable state.")
	descProcsBlocked    = gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.")
)

var cpuModes = [...]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}

func (h *Host) cpu(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/stat")
	if err != nil {
		return err
	}
	var fields [12]string
	for line := range strings.Lines(text) {
		number, ok := strings.CutPrefix(line, "cpu")
		if !ok {
			break // the processors come first
		}
		f := columns(number, fields[:0])
		if strings.HasPrefix(number, " ") || len(f) < 9 {
			continue // all together
		}
		h.oneCPU(s, f[0], f[1:])
	}
	h.throttles(s)
	return nil
}

// oneCPU keeps times from going back, which the kernel lets happen with idle and iowait. By more than three seconds they
// go back when a processor was taken away and came again.
func (h *Host) oneCPU(s *metric.Set, cpu string, times []string) {
	last := h.cpus[cpu]
	if last == nil {
		last = new([10]float64)
		h.cpus[strings.Clone(cpu)] = last
	}
	for i := range min(len(times), len(last)) {
		v := float(times[i]) / userHZ
		if back := last[i] - v; back > 0 && back < 3 {
			v = last[i]
		}
		last[i] = v
		switch {
		case i < len(cpuModes):
			s.Add(descCPU, v, "cpu", cpu, "mode", cpuModes[i])
		case i == 8:
			s.Add(descCPUGuest, v, "cpu", cpu, "mode", "user")
		case i == 9:
			s.Add(descCPUGuest, v, "cpu", cpu, "mode", "nice")
		}
	}
}

var (
	descCoreThrottles    = counter("node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.")
	descPackageThrottles = counter("node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.")
)

// throttles tells how often heat slowed processors. Threads of a core tell the same, so each core is told once: a second
// value of a series is left out.
func (h *Host) throttles(s *metric.Set) {
	base := h.opts.Sys + "/devices/system/cpu/cpu"
	if _, err := h.read.file(base + "0/thermal_throttle/core_throttle_count"); err != nil {
		return
	}
	for cpu := range h.cpus {
		pack, err := h.read.line(base + cpu + "/topology/physical_package_id")
		if err != nil {
			continue
		}
		pack = strings.Clone(pack)
		core, err := h.read.line(base + cpu + "/topology/core_id")
		if err != nil {
			continue
		}
		core = strings.Clone(core)
		if v, err := h.read.number(base + cpu + "/thermal_throttle/core_throttle_count"); err == nil {
			s.Add(descCoreThrottles, v, "core", core, "package", pack)
		}
		if v, err := h.read.number(base + cpu + "/thermal_throttle/package_throttle_count"); err == nil {
			s.Add(descPackageThrottles, v, "package", pack)
		}
	}
}

var frequencies = []struct {
	file string
	desc *metric.Desc
}{
	{"cpuinfo_cur_freq", gauge("node_cpu_frequency_hertz", "Current CPU thread frequency in hertz.")},
	{"cpuinfo_min_freq", gauge("node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz.")},
	{"cpuinfo_max_freq", gauge("node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz.")},
	{"scaling_cur_freq", gauge("node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz.")},
	{"scaling_min_freq", gauge("node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz.")},
	{"scaling_max_freq", gauge("node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz.")},
}

func (h *Host) cpufreq(s *metric.Set) error {
	base := h.opts.Sys + "/devices/system/cpu/cpu"
	if _, err := h.read.file(base + "0/cpufreq/scaling_cur_freq"); err != nil {
		return errNoData
	}
	for cpu := range h.cpus {
		for _, f := range frequencies {
			if kilohertz, err := h.read.number(base + cpu + "/cpufreq/" + f.file); err == nil {
				s.Add(f.desc, kilohertz*1000, "cpu", cpu)
			}
		}
	}
	return nil
}

func (h *Host) stat(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/stat")
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, " ")
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		switch name {
		case "ctxt":
			s.Add(descContextSwitches, float(value))
		case "intr":
			s.Add(descInterrupts, float(value))
		case "processes":
			s.Add(descForks, float(value))
		case "btime":
			s.Add(descBootTime, float(value))
		case "procs_running":
			s.Add(descProcsRunning, float(value))
		case "procs_blocked":
			s.Add(descProcsBlocked, float(value))
		}
	}
	return nil
}

var loads = [...]*metric.Desc{
	gauge("node_load1", "1m load average."), gauge("node_load5", "5m load average."), gauge("node_load15", "15m load average."),
}

func (h *Host) loadavg(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/loadavg")
	if err != nil {
		return err
	}
	var fields [3]string
	for i, f := range columns(text, fields[:0]) {
		s.Add(loads[i], float(f))
	}
	return nil
}

func (h *Host) meminfo(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/meminfo")
	if err != nil {
		return err
	}
	var name []byte
	for line := range strings.Lines(text) {
		key, rest, ok := strings.Cut(line, ":")
		value, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if !ok {
			continue
		}
		name = append(name[:0], "node_memory_"...)
		for i := range len(key) { // Active(anon) becomes Active_anon
			switch c := key[i]; c {
			case '(':
				name = append(name, '_')
			case ')':
			default:
				name = append(name, c)
			}
		}
		v := float(value)
		if unit == "kB" {
			name, v = append(name, "_bytes"...), v*1024
		}
		s.Add(h.dynamic(remotewrite.Gauge, string(name), memoryHelp), v)
	}
	return nil
}

func memoryHelp(name string) string {
	return "Memory information field " + strings.TrimPrefix(name, "node_memory_") + "."
}

func (h *Host) vmstat(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/vmstat")
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if isVMStat(name) {
			s.Add(h.dynamic(remotewrite.Unknown, "node_vmstat_"+name, vmstatHelp), float(value))
		}
	}
	return nil
}

func vmstatHelp(name string) string {
	return "/proc/vmstat information field " + strings.TrimPrefix(name, "node_vmstat_") + "."
}

// isVMStat is node_exporter's choice: ^(oom_kill|pgpg|pswp|pg.*fault).*
func isVMStat(name string) bool {
	return strings.HasPrefix(name, "oom_kill") || strings.HasPrefix(name, "pgpg") || strings.HasPrefix(name, "pswp") ||
		strings.HasPrefix(name, "pg") && strings.Contains(name, "fault")
}

var pressures = []struct {
	file       string
	some, full *metric.Desc
}{
	{"cpu", counter("node_pressure_cpu_waiting_seconds_total", "Total time in seconds that processes have waited for CPU time"), nil},
	{"io", counter("node_pressure_io_waiting_seconds_total", "Total time in seconds that processes have waited due to IO congestion"),
		counter("node_pressure_io_stalled_seconds_total", "Total time in seconds no process could make progress due to IO congestion")},
	{"memory", counter("node_pressure_memory_waiting_seconds_total", "Total time in seconds that processes have waited for memory"),
		counter("node_pressure_memory_stalled_seconds_total", "Total time in seconds no process could make progress due to memory congestion")},
	{"irq", nil, counter("node_pressure_irq_stalled_seconds_total", "Total time in seconds no process could make progress due to IRQ congestion")},
}

func (h *Host) pressure(s *metric.Set) error {
	none := true
	for _, p := range pressures {
		text, err := h.read.file(h.opts.Proc + "/pressure/" + p.file)
		if err != nil {
			continue
		}
		none = false
		for line := range strings.Lines(text) {
			kind, rest, _ := strings.Cut(line, " ")
			_, total, _ := strings.Cut(strings.TrimSpace(rest), "total=")
			microseconds := float(total)
			if kind == "some" && p.some != nil {
				s.Add(p.some, microseconds/1e6)
			} else if kind == "full" && p.full != nil {
				s.Add(p.full, microseconds/1e6)
			}
		}
	}
	if none {
		return errNoData
	}
	return nil
}
