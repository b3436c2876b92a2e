package host

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/internal/agent/metric"
)

var descUname = gauge("node_uname_info", "Labeled system information as provided by the uname system call.")

func (h *Host) uname(s *metric.Set) error {
	var u unix.Utsname
	if err := h.opts.system.uname(&u); err != nil {
		return err
	}
	text := func(b []byte) string { return unix.ByteSliceToString(b) }
	s.Add(descUname, 1, "sysname", text(u.Sysname[:]), "release", text(u.Release[:]), "version", text(u.Version[:]),
		"machine", text(u.Machine[:]), "nodename", text(u.Nodename[:]), "domainname", text(u.Domainname[:]))
	return nil
}

var (
	descOS        = gauge("node_os_info", "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, pretty_name, variant, variant_id, version, version_codename, version_id.")
	descOSVersion = gauge("node_os_version", "Metric containing the major.minor part of the OS version.")
	descOSEnd     = gauge("node_os_support_end_timestamp_seconds", "Metric containing the end-of-life date timestamp of the OS.")
)

var osFields = []string{"BUILD_ID", "ID", "ID_LIKE", "IMAGE_ID", "IMAGE_VERSION", "NAME", "PRETTY_NAME", "VARIANT", "VARIANT_ID",
	"VERSION", "VERSION_CODENAME", "VERSION_ID"}

func (h *Host) osRelease(s *metric.Set) error {
	r, err := readOSRelease(&h.read, h.opts.Root)
	if err != nil {
		return err
	}
	labels := make([]string, 0, 2*len(osFields))
	for _, field := range osFields {
		labels = append(labels, strings.ToLower(field), r[field])
	}
	s.Add(descOS, 1, labels...)
	if v, ok := majorMinor(r["VERSION_ID"]); ok {
		s.Add(descOSVersion, v, "id", r["ID"], "id_like", r["ID_LIKE"], "name", r["NAME"])
	}
	if end, err := time.Parse(time.DateOnly, r["SUPPORT_END"]); err == nil {
		s.Add(descOSEnd, float64(end.Unix()))
	}
	return nil
}

// majorMinor is the number at the head of a version such as 12.04.1.
func majorMinor(version string) (float64, bool) {
	end, points := 0, 0
	for ; end < len(version); end++ {
		if c := version[end]; c == '.' {
			points++
		} else if c < '0' || c > '9' {
			break
		}
		if points > 1 {
			break
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(version[:end], "."), 64)
	return v, err == nil
}

// readOSRelease reads the values of /etc/os-release.
func readOSRelease(r *reader, root string) (map[string]string, error) {
	text, err := r.file(root + "/etc/os-release")
	if err != nil {
		text, err = r.file(root + "/usr/lib/os-release")
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || len(out) > 100 {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		out[strings.Clone(key)] = strings.Clone(value)
	}
	return out, nil
}

var (
	descTime       = gauge("node_time_seconds", "System time in seconds since epoch (1970).")
	descZone       = gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.")
	descClock      = gauge("node_time_clocksource_current_info", "Current clocksource read from '/sys/devices/system/clocksource'.")
	descClockAvail = gauge("node_time_clocksource_available_info", "Available clocksources read from '/sys/devices/system/clocksource'.")
)

func (h *Host) time(s *metric.Set) error {
	now := h.opts.system.now()
	s.Add(descTime, float64(now.UnixNano())/1e9)
	zone, offset := now.Zone()
	s.Add(descZone, float64(offset), "time_zone", zone)
	const prefix = "clocksource"
	base := h.opts.Sys + "/devices/system/clocksource/"
	for _, dir := range entries(base) {
		device, ok := strings.CutPrefix(dir, prefix)
		if !ok {
			continue
		}
		if current, err := h.read.line(base + dir + "/current_clocksource"); err == nil {
			s.Add(descClock, 1, "device", device, "clocksource", current)
		}
		if all, err := h.read.line(base + dir + "/available_clocksource"); err == nil {
			for one := range strings.FieldsSeq(all) {
				s.Add(descClockAvail, 1, "device", device, "clocksource", one)
			}
		}
	}
	return nil
}

var timexDescs = [...]*metric.Desc{
	gauge("node_timex_offset_seconds", "Time offset in between local system and reference clock."),
	gauge("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment."),
	gauge("node_timex_maxerror_seconds", "Maximum error in seconds."),
	gauge("node_timex_estimated_error_seconds", "Estimated error in seconds."),
	gauge("node_timex_status", "Value of the status array bits."),
	gauge("node_timex_loop_time_constant", "Phase-locked loop time constant."),
	gauge("node_timex_tick_seconds", "Seconds between clock ticks."),
	gauge("node_timex_pps_frequency_hertz", "Pulse per second frequency."),
	gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter."),
	gauge("node_timex_pps_shift_seconds", "Pulse per second interval duration."),
	gauge("node_timex_pps_stability_hertz", "Pulse per second stability, average of recent frequency changes."),
	counter("node_timex_pps_jitter_total", "Pulse per second count of jitter limit exceeded events."),
	counter("node_timex_pps_calibration_total", "Pulse per second count of calibration intervals."),
	counter("node_timex_pps_error_total", "Pulse per second count of calibration errors."),
	counter("node_timex_pps_stability_exceeded_total", "Pulse per second count of stability limit exceeded events."),
	gauge("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset."),
	gauge("node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no)."),
}

func (h *Host) timex(s *metric.Set) error {
	const (
		unsynchronized = 5      // TIME_ERROR
		nanoseconds    = 0x2000 // STA_NANO
		ppm16          = 1e6 * 65536
	)
	var t unix.Timex
	state, err := h.opts.system.adjtimex(&t)
	if err == unix.EPERM {
		return errNoData // in a container
	}
	if err != nil {
		return err
	}
	divisor := 1e6
	if t.Status&nanoseconds != 0 {
		divisor = 1e9
	}
	for i, v := range [...]float64{
		float64(t.Offset) / divisor, 1 + float64(t.Freq)/ppm16, float64(t.Maxerror) / 1e6, float64(t.Esterror) / 1e6,
		float64(t.Status), float64(t.Constant), float64(t.Tick) / 1e6, float64(t.Ppsfreq) / ppm16, float64(t.Jitter) / divisor,
		float64(t.Shift), float64(t.Stabil) / ppm16, float64(t.Jitcnt), float64(t.Calcnt), float64(t.Errcnt), float64(t.Stbcnt),
		float64(t.Tai), truth(state != unsynchronized),
	} {
		s.Add(timexDescs[i], v)
	}
	return nil
}

var (
	descEntropy     = gauge("node_entropy_available_bits", "Bits of available entropy.")
	descEntropyPool = gauge("node_entropy_pool_size_bits", "Bits of entropy pool.")
)

func (h *Host) entropy(s *metric.Set) error {
	bits, err := h.read.number(h.opts.Proc + "/sys/kernel/random/entropy_avail")
	if err != nil {
		return err
	}
	s.Add(descEntropy, bits)
	if size, err := h.read.number(h.opts.Proc + "/sys/kernel/random/poolsize"); err == nil {
		s.Add(descEntropyPool, size)
	}
	return nil
}

var (
	descSELinux        = gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false")
	descSELinuxCurrent = gauge("node_selinux_current_mode", "Current SELinux enforcement mode")
	descSELinuxConfig  = gauge("node_selinux_config_mode", "Configured SELinux enforcement mode")
)

func (h *Host) selinux(s *metric.Set) error {
	current, err := h.read.number(h.opts.Sys + "/fs/selinux/enforce")
	s.Add(descSELinux, truth(err == nil))
	if err != nil {
		return nil
	}
	s.Add(descSELinuxCurrent, current)
	text, err := h.read.file(h.opts.Root + "/etc/selinux/config")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(text) {
		if mode, ok := strings.CutPrefix(strings.TrimSpace(line), "SELINUX="); ok {
			s.Add(descSELinuxConfig, map[string]float64{"enforcing": 1, "permissive": 0}[mode]-truth(mode == "disabled"))
		}
	}
	return nil
}

func decimal(n int) string { return strconv.Itoa(n) }
