package host

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

var (
	descZoneTemp   = gauge("node_thermal_zone_temp", "Zone temperature in Celsius")
	descCooling    = gauge("node_cooling_device_cur_state", "Current throttle state of the cooling device")
	descCoolingMax = gauge("node_cooling_device_max_state", "Maximum throttle state of the cooling device")
)

func (h *Host) thermalZone(s *metric.Set) error {
	base := h.opts.Sys + "/class/thermal/"
	names := entries(base)
	if len(names) == 0 {
		return errNoData
	}
	for _, name := range names {
		kind, err := h.read.line(base + name + "/type")
		if err != nil {
			continue
		}
		kind = strings.Clone(kind)
		if zone, ok := strings.CutPrefix(name, "thermal_zone"); ok {
			if v, err := h.read.number(base + name + "/temp"); err == nil {
				s.Add(descZoneTemp, v/1000, "zone", zone, "type", kind)
			}
		} else if device, ok := strings.CutPrefix(name, "cooling_device"); ok {
			if v, err := h.read.number(base + name + "/cur_state"); err == nil {
				s.Add(descCooling, v, "name", device, "type", kind)
			}
			if v, err := h.read.number(base + name + "/max_state"); err == nil {
				s.Add(descCoolingMax, v, "name", device, "type", kind)
			}
		}
	}
	return nil
}

var (
	descChip   = gauge("node_hwmon_chip_names", "Annotation metric for human-readable chip names")
	descSensor = gauge("node_hwmon_sensor_label", "Label for given chip and sensor")
)

// hwmon reads sensors of temperature, voltage, current, power and fans.
func (h *Host) hwmon(s *metric.Set) error {
	base := h.opts.Sys + "/class/hwmon/"
	names := entries(base)
	if len(names) == 0 {
		return errNoData
	}
	for _, name := range names {
		dir := base + name
		chip := h.chipName(dir)
		if human := h.chipHuman(dir); human != "" {
			s.Add(descChip, 1, "chip", chip, "chip_name", human)
		}
		h.sensors(s, chip, dir)
	}
	return nil
}

// chipName makes a name from where the device is, which stays the same when drivers load in another order.
func (h *Host) chipName(dir string) string {
	if path, err := filepath.EvalSymlinks(dir + "/device"); err == nil {
		bus, device := cleanName(filepath.Base(filepath.Dir(path))), cleanName(filepath.Base(path))
		if bus != "" && device != "" {
			return bus + "_" + device
		}
		if device != "" {
			return device
		}
	}
	if name := h.chipHuman(dir); name != "" {
		return name
	}
	return cleanName(filepath.Base(dir))
}

func (h *Host) chipHuman(dir string) string {
	name, _ := h.read.line(dir + "/name")
	return cleanName(strings.Clone(name))
}

// cleanName leaves lower-case letters, digits, colons and underscores.
func cleanName(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == ':' || r == '_' {
			return r
		}
		return '_'
	}, strings.ToLower(name)), "_")
}

var sensorTypes = []string{"in", "cpu", "fan", "pwm", "temp", "curr", "power", "energy", "humidity", "intrusion", "freq"}

// sensors reads files such as temp1_input, of the chip and of its device.
func (h *Host) sensors(s *metric.Set, chip, dir string) {
	values := map[string]map[string]string{}
	for _, d := range []string{dir + "/", dir + "/device/"} {
		for _, file := range entries(d) {
			kind, sensor, property := splitSensor(file)
			if !slices.Contains(sensorTypes, kind) {
				continue
			}
			text, err := h.read.line(d + file)
			if err != nil {
				continue
			}
			if values[sensor] == nil {
				values[sensor] = map[string]string{}
			}
			values[sensor][property] = strings.Clone(text)
		}
	}
	for sensor, properties := range values {
		kind, _, _ := splitSensor(sensor)
		for property, text := range properties {
			if property == "label" {
				s.Add(descSensor, 1, "chip", chip, "sensor", sensor, "label", strings.ToValidUTF8(text, "�"))
				continue
			}
			if v, err := parse(text); err == nil {
				_, both := properties[""]
				h.sensor(s, kind, property, v, both, chip, sensor, properties["label"])
			}
		}
	}
}

// splitSensor takes temp1_crit_alarm apart: temp, temp1, crit_alarm. A sensor without a number is number 0.
func splitSensor(file string) (kind, sensor, property string) {
	i := strings.IndexAny(file, "0123456789")
	head, rest, _ := strings.Cut(file, "_")
	switch {
	case i > 0 && i < len(head):
		kind = file[:i]
		sensor, property = head, rest
		if strings.Trim(head[i:], "0123456789") != "" {
			return "", "", ""
		}
	default:
		kind, sensor, property = head, head+"0", rest
	}
	return kind, sensor, property
}

// sensor names a value as node_exporter does.
func (h *Host) sensor(s *metric.Set, kind, property string, v float64, both bool, chip, sensor, label string) {
	name, typ := "node_hwmon_"+kind, remotewrite.Gauge
	switch {
	case property == "input" && both:
		name += "_input"
	case property != "" && property != "input":
		name += "_" + cleanName(property)
	}
	switch {
	case property == "fault" || property == "alarm":
	case property == "beep":
		name += "_enabled"
	case kind == "in" || kind == "cpu":
		name, v = name+"_volts", v*0.001
	case kind == "temp" && property != "type":
		name, v = name+"_celsius", v*0.001
	case kind == "curr":
		name, v = name+"_amps", v*0.001
	case kind == "energy":
		name, v, typ = name+"_joule_total", v/1e6, remotewrite.Counter
	case kind == "power" && property == "accuracy":
		v /= 1e6
	case kind == "power" && strings.HasPrefix(property, "average_interval"):
		name, v = name+"_seconds", v*0.001
	case kind == "power":
		name, v = name+"_watt", v/1e6
	case kind == "humidity":
		v /= 1e6
	case kind == "fan" && (property == "input" || property == "min" || property == "max" || property == "target"):
		name += "_rpm"
	case kind == "freq" && property == "input":
		if label == "" {
			return
		}
		name, v, sensor = name+"_freq_mhz", v/1e6, cleanName(label)
	}
	s.Add(h.dynamic(typ, name, func(string) string { return "Hardware monitor " + kind + " (" + property + ")" }), v, "chip", chip, "sensor", sensor)
}
