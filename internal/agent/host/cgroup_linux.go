package host

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// Names and meanings are those of cAdvisor. A service of systemd has an id and no name, as there.
var (
	descBoxCPU         = counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.")
	descBoxUser        = counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.")
	descBoxSystem      = counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.")
	descBoxPeriods     = counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.")
	descBoxThrottled   = counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.")
	descBoxThrottledS  = counter("container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.")
	descBoxMemory      = gauge("container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed.")
	descBoxWorking     = gauge("container_memory_working_set_bytes", "Current working set in bytes.")
	descBoxRSS         = gauge("container_memory_rss", "Size of RSS in bytes.")
	descBoxCache       = gauge("container_memory_cache", "Number of bytes of page cache memory.")
	descBoxLimit       = gauge("container_spec_memory_limit_bytes", "Memory limit for the container.")
	descBoxOOM         = counter("container_oom_events_total", "Count of out of memory events observed for the container.")
	descBoxProcesses   = gauge("container_processes", "Number of processes running inside the container.")
	descBoxReads       = counter("container_fs_reads_total", "Cumulative count of reads completed.")
	descBoxWrites      = counter("container_fs_writes_total", "Cumulative count of writes completed.")
	descBoxReadBytes   = counter("container_fs_reads_bytes_total", "Cumulative count of bytes read.")
	descBoxWrittenByte = counter("container_fs_writes_bytes_total", "Cumulative count of bytes written.")
)

// Limits of the walk: a machine with more is told about in part.
const (
	maxGroups = 5000
	maxBoxes  = 300
	maxDepth  = 8
)

// containerNames remembers what containers are called.
type containerNames map[string]string

// containers walks the tree of control groups of version 2.
func (h *Host) containers(s *metric.Set) error {
	root := h.opts.Sys + "/fs/cgroup"
	if _, err := h.read.file(root + "/cgroup.controllers"); err != nil {
		return errNoData // version 1, or none. The file may be empty: processor time is counted without a controller
	}
	groups, boxes := 0, 0
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // it has ended, or is a file
		}
		groups++
		id := strings.TrimPrefix(path, root)
		if groups > maxGroups || boxes >= maxBoxes {
			return fs.SkipAll
		}
		container, name := containerOf(filepath.Base(path))
		switch {
		case container != "":
			boxes++
			h.container(s, path, "id", id, "name", h.containerName(container, name))
			return fs.SkipDir
		case strings.HasSuffix(id, ".service"):
			boxes++
			h.service(s, path, id)
			return fs.SkipDir
		case strings.Count(id, "/") >= maxDepth:
			return fs.SkipDir
		}
		return nil
	})
}

// containerOf tells a container's group by its name. The id is empty for groups that are none; the name is known for
// those that have it in the group's.
func containerOf(group string) (id, name string) {
	base := strings.TrimSuffix(group, ".scope")
	for _, prefix := range []string{"docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-", ""} {
		if rest, ok := strings.CutPrefix(base, prefix); ok && len(rest) == 64 && strings.Trim(rest, "0123456789abcdef") == "" {
			return rest, ""
		}
	}
	if rest, ok := strings.CutPrefix(group, "lxc.payload."); ok {
		return rest, rest
	}
	if rest, ok := strings.CutPrefix(base, "machine-"); ok && base != group {
		rest = strings.ReplaceAll(rest, `\x2d`, "-")
		return rest, rest
	}
	return "", ""
}

// containerName is the name that Docker gave, where the agent may read it, and else the beginning of the id.
func (h *Host) containerName(id, name string) string {
	if name != "" {
		return name
	}
	if name, ok := h.names[id]; ok {
		return name
	}
	short := id[:min(12, len(id))]
	if b, err := os.ReadFile(h.opts.Root + "/var/lib/docker/containers/" + id + "/config.v2.json"); err == nil {
		var config struct{ Name string }
		if json.Unmarshal(b, &config) == nil && config.Name != "" {
			short = strings.TrimPrefix(config.Name, "/")
		}
	}
	if h.names == nil || len(h.names) > maxBoxes {
		h.names = containerNames{}
	}
	h.names[id] = short
	return short
}

func (h *Host) service(s *metric.Set, path, id string) {
	if text, err := h.read.file(path + "/cpu.stat"); err == nil {
		s.Add(descBoxCPU, keyed(text, "usage_usec")/1e6, "id", id, "cpu", "total")
	}
	if total, err := h.read.number(path + "/memory.current"); err == nil {
		s.Add(descBoxWorking, h.workingSet(path, total), "id", id)
	}
}

func (h *Host) container(s *metric.Set, path string, labels ...string) {
	if text, err := h.read.file(path + "/cpu.stat"); err == nil {
		s.Add(descBoxCPU, keyed(text, "usage_usec")/1e6, append(labels, "cpu", "total")...)
		s.Add(descBoxUser, keyed(text, "user_usec")/1e6, labels...)
		s.Add(descBoxSystem, keyed(text, "system_usec")/1e6, labels...)
		if strings.Contains(text, "nr_periods") {
			s.Add(descBoxPeriods, keyed(text, "nr_periods"), labels...)
			s.Add(descBoxThrottled, keyed(text, "nr_throttled"), labels...)
			s.Add(descBoxThrottledS, keyed(text, "throttled_usec")/1e6, labels...)
		}
	}
	h.containerMemory(s, path, labels)
	if n, err := h.read.number(path + "/pids.current"); err == nil {
		s.Add(descBoxProcesses, n, labels...)
	}
	if text, err := h.read.file(path + "/io.stat"); err == nil {
		s.Add(descBoxReadBytes, summed(text, "rbytes="), labels...)
		s.Add(descBoxWrittenByte, summed(text, "wbytes="), labels...)
		s.Add(descBoxReads, summed(text, "rios="), labels...)
		s.Add(descBoxWrites, summed(text, "wios="), labels...)
	}
}

func (h *Host) containerMemory(s *metric.Set, path string, labels []string) {
	total, err := h.read.number(path + "/memory.current")
	if err != nil {
		return
	}
	s.Add(descBoxMemory, total, labels...)
	s.Add(descBoxWorking, h.workingSet(path, total), labels...)
	if text, err := h.read.file(path + "/memory.stat"); err == nil {
		s.Add(descBoxRSS, keyed(text, "anon"), labels...)
		s.Add(descBoxCache, keyed(text, "file"), labels...)
	}
	limit, _ := h.read.number(path + "/memory.max") // "max" is no limit, told as 0
	s.Add(descBoxLimit, limit, labels...)
	if text, err := h.read.file(path + "/memory.events"); err == nil {
		s.Add(descBoxOOM, keyed(text, "oom_kill"), labels...)
	}
}

// workingSet is what cannot be taken back at once: all but the files not used lately.
func (h *Host) workingSet(path string, total float64) float64 {
	text, err := h.read.file(path + "/memory.stat")
	if err != nil {
		return total
	}
	return max(total-keyed(text, "inactive_file"), 0)
}

// keyed is the number on the line that begins with a key.
func keyed(text, key string) float64 {
	for line := range strings.Lines(text) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == key {
			return float(value)
		}
	}
	return 0
}

// summed adds up key=number over all lines.
func summed(text, key string) (sum float64) {
	for field := range strings.FieldsSeq(text) {
		if value, ok := strings.CutPrefix(field, key); ok {
			sum += float(value)
		}
	}
	return sum
}
