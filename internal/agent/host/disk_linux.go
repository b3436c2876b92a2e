package host

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// notDisks are parts of disks and what is none, as node_exporter has it.
var notDisks = regexp.MustCompile(`^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`)

// diskStats are the columns of /proc/diskstats after the name.
var diskStats = []struct {
	desc  *metric.Desc
	scale float64
}{
	{counter("node_disk_reads_completed_total", "The total number of reads completed successfully."), 1},
	{counter("node_disk_reads_merged_total", "The total number of reads merged."), 1},
	{counter("node_disk_read_bytes_total", "The total number of bytes read successfully."), 512},
	{counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads."), .001},
	{counter("node_disk_writes_completed_total", "The total number of writes completed successfully."), 1},
	{counter("node_disk_writes_merged_total", "The number of writes merged."), 1},
	{counter("node_disk_written_bytes_total", "The total number of bytes written successfully."), 512},
	{counter("node_disk_write_time_seconds_total", "This is the total number of seconds spent by all writes."), .001},
	{gauge("node_disk_io_now", "The number of I/Os currently in progress."), 1},
	{counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."), .001},
	{counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."), .001},
	{counter("node_disk_discards_completed_total", "The total number of discards completed successfully."), 1},
	{counter("node_disk_discards_merged_total", "The total number of discards merged."), 1},
	{counter("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully."), 1},
	{counter("node_disk_discard_time_seconds_total", "This is the total number of seconds spent by all discards."), .001},
	{counter("node_disk_flush_requests_total", "The total number of flush requests completed successfully"), 1},
	{counter("node_disk_flush_requests_time_seconds_total", "This is the total number of seconds spent by all flush requests."), .001},
}

var (
	descDiskInfo = gauge("node_disk_info", "Info of /sys/block/<block_device>.")
	descDiskFS   = gauge("node_disk_filesystem_info", "Info about disk filesystem.")
	descDiskDM   = gauge("node_disk_device_mapper_info", "Info about disk device mapper.")
)

func (h *Host) diskstats(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/diskstats")
	if err != nil {
		return err
	}
	var fields [20]string
	type disk struct{ major, minor, name string }
	var disks []disk
	for line := range strings.Lines(text) {
		f := columns(line, fields[:0])
		if len(f) < 4 || notDisks.MatchString(f[2]) {
			continue
		}
		for i, v := range f[3:] {
			s.Add(diskStats[i].desc, float(v)*diskStats[i].scale, "device", f[2])
		}
		disks = append(disks, disk{strings.Clone(f[0]), strings.Clone(f[1]), strings.Clone(f[2])})
	}
	for _, d := range disks { // the buffer with the text is used again from here on
		h.diskInfo(s, d.major, d.minor, d.name)
	}
	return nil
}

// diskInfo tells what udev knows of a disk.
func (h *Host) diskInfo(s *metric.Set, major, minor, name string) {
	text, _ := h.read.file(h.opts.Root + "/run/udev/data/b" + major + ":" + minor)
	get := func(key string) string { return udevProperty(text, key) }
	serial := get("SCSI_IDENT_SERIAL")
	if serial == "" {
		serial = get("ID_SERIAL_SHORT")
	}
	s.Add(descDiskInfo, 1, "device", name, "major", major, "minor", minor, "path", get("ID_PATH"), "wwn", get("ID_WWN"),
		"model", get("ID_MODEL"), "serial", serial, "revision", get("ID_REVISION"))
	if kind := get("ID_FS_TYPE"); kind != "" {
		s.Add(descDiskFS, 1, "device", name, "type", kind, "usage", get("ID_FS_USAGE"), "uuid", get("ID_FS_UUID"), "version", get("ID_FS_VERSION"))
	}
	if dm := get("DM_NAME"); dm != "" {
		s.Add(descDiskDM, 1, "device", name, "name", dm, "uuid", get("DM_UUID"), "vg_name", get("DM_VG_NAME"),
			"lv_name", get("DM_LV_NAME"), "lv_layer", get("DM_LV_LAYER"))
	}
}

func udevProperty(text, key string) string {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "E:")
		if !ok {
			continue
		}
		if name, value, ok := strings.Cut(rest, "="); ok && name == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

var (
	ignoredMounts = regexp.MustCompile(`^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`)
	ignoredTypes  = regexp.MustCompile(`^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$`)
	localTypes    = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "tmpfs", "ramfs", "f2fs", "zfs", "ntfs3", "exfat"}

	descFSSize     = gauge("node_filesystem_size_bytes", "Filesystem size in bytes.")
	descFSFree     = gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.")
	descFSAvail    = gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.")
	descFSFiles    = gauge("node_filesystem_files", "Filesystem total file nodes.")
	descFSFreeNode = gauge("node_filesystem_files_free", "Filesystem total free file nodes.")
	descFSReadOnly = gauge("node_filesystem_readonly", "Filesystem read-only status.")
	descFSError    = gauge("node_filesystem_device_error", "Whether an error occurred while getting statistics for the given device.")
)

type mount struct {
	device, point, kind string
	readOnly            bool
}

// mountTimeout is how long file systems that may be elsewhere have to answer, all together.
const mountTimeout = 2 * time.Second

// stuckMounts are those that have been asked and do not answer. They are not asked again until they do, so that a dead
// server costs one waiting thread, not one more at each interval.
type stuckMounts struct {
	mu      sync.Mutex
	waiting map[string]bool
}

type usage struct {
	mount mount
	stat  unix.Statfs_t
	err   error
}

func (h *Host) filesystem(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/1/mounts")
	if err != nil {
		text, err = h.read.file(h.opts.Proc + "/self/mounts")
	}
	if err != nil {
		return err
	}
	answers, asked := make(chan usage, 64), 0
	seen := map[mount]bool{}
	for line := range strings.Lines(text) {
		m, ok := parseMount(line)
		if !ok || seen[mount{m.device, m.point, m.kind, false}] {
			continue
		}
		seen[mount{m.device, m.point, m.kind, false}] = true
		switch {
		case slices.Contains(localTypes, m.kind):
			u := usage{mount: m}
			u.err = h.opts.system.statfs(h.opts.Root+m.point, &u.stat)
			u.add(s)
		case asked < cap(answers) && h.ask(m, answers):
			asked++
		default:
			usage{mount: m, err: errNoData}.add(s)
		}
	}
	h.await(s, answers, asked, seen)
	return nil
}

// ask has a file system measured in the background. It tells whether an answer is to be expected.
func (h *Host) ask(m mount, answers chan<- usage) bool {
	w := &h.stuck
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[m.point] {
		return false
	}
	if w.waiting == nil {
		w.waiting = map[string]bool{}
	}
	m = mount{strings.Clone(m.device), strings.Clone(m.point), strings.Clone(m.kind), m.readOnly}
	w.waiting[m.point] = true
	go func() {
		u := usage{mount: m}
		u.err = h.opts.system.statfs(h.opts.Root+m.point, &u.stat)
		w.mu.Lock()
		delete(w.waiting, m.point)
		w.mu.Unlock()
		answers <- u // there is room for all
	}()
	return true
}

func (h *Host) await(s *metric.Set, answers <-chan usage, asked int, seen map[mount]bool) {
	if asked == 0 {
		return
	}
	timeout := time.NewTimer(mountTimeout)
	defer timeout.Stop()
	for range asked {
		select {
		case u := <-answers:
			u.add(s)
		case <-timeout.C:
			h.stuck.mu.Lock()
			defer h.stuck.mu.Unlock()
			for m := range seen {
				if h.stuck.waiting[m.point] {
					usage{mount: m, err: errNoData}.add(s)
				}
			}
			return
		}
	}
}

func (u usage) add(s *metric.Set) {
	labels := []string{"device", u.mount.device, "fstype", u.mount.kind, "mountpoint", u.mount.point}
	s.Add(descFSError, truth(u.err != nil), labels...)
	if u.err != nil {
		return
	}
	block := float64(u.stat.Bsize)
	s.Add(descFSSize, float64(u.stat.Blocks)*block, labels...)
	s.Add(descFSFree, float64(u.stat.Bfree)*block, labels...)
	s.Add(descFSAvail, float64(u.stat.Bavail)*block, labels...)
	s.Add(descFSFiles, float64(u.stat.Files), labels...)
	s.Add(descFSFreeNode, float64(u.stat.Ffree), labels...)
	s.Add(descFSReadOnly, truth(u.mount.readOnly), labels...)
}

var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func parseMount(line string) (m mount, ok bool) {
	var fields [4]string
	f := columns(line, fields[:0])
	if len(f) < 4 || ignoredTypes.MatchString(f[2]) {
		return m, false
	}
	m = mount{device: f[0], point: f[1], kind: f[2]}
	if strings.Contains(line, `\`) {
		m.device, m.point = mountEscapes.Replace(m.device), mountEscapes.Replace(m.point)
	}
	m.device, m.point = strings.ToValidUTF8(m.device, "�"), strings.ToValidUTF8(m.point, "�")
	for option := range strings.SplitSeq(f[3], ",") {
		m.readOnly = m.readOnly || option == "ro"
	}
	return m, !ignoredMounts.MatchString(m.point)
}

var (
	descFilesOpen = gauge("node_filefd_allocated", "File descriptor statistics: allocated.")
	descFilesMax  = gauge("node_filefd_maximum", "File descriptor statistics: maximum.")
)

func (h *Host) filefd(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/sys/fs/file-nr")
	if err != nil {
		return err
	}
	var fields [3]string
	if f := columns(text, fields[:0]); len(f) == 3 {
		s.Add(descFilesOpen, float(f[0]))
		s.Add(descFilesMax, float(f[2]))
	}
	return nil
}

var (
	descMDActive   = gauge("node_md_state", "Indicates the state of md-device.")
	descMDDisks    = gauge("node_md_disks", "Number of active/failed/spare disks of device.")
	descMDRequired = gauge("node_md_disks_required", "Total number of disks of device.")
	descMDBlocks   = gauge("node_md_blocks", "Total number of blocks on device.")
	descMDSynced   = gauge("node_md_blocks_synced", "Number of blocks synced on device.")
)

var mdStates = [...]string{"active", "inactive", "recovering", "check", "resync"}

// raid is an array of disks.
type raid struct {
	name, state                     string
	active, failed, spare, required float64
	blocks, synced                  float64
}

// mdadm tells of software RAID, from /proc/mdstat: a line such as "md0 : active raid1 sdb1[1] sda1[0](F)", one with
// "248896 blocks [2/1] [_U]", and one such as "recovery = 8.5% (100/200) finish=…" while there is something to do.
func (h *Host) mdadm(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/mdstat")
	if err != nil {
		return err
	}
	var r raid
	for line := range strings.Lines(text) {
		if name, rest, ok := strings.Cut(line, " : "); ok && strings.HasPrefix(name, "md") {
			r.add(s)
			r = newRaid(name, rest)
		} else if r.name != "" {
			r.line(strings.TrimSpace(line))
		}
	}
	r.add(s)
	return nil
}

func newRaid(name, rest string) raid {
	r := raid{name: name, state: "inactive", failed: float64(strings.Count(rest, "(F)")), spare: float64(strings.Count(rest, "(S)"))}
	if strings.HasPrefix(rest, "active") {
		r.state = "active"
	}
	r.active = float64(strings.Count(rest, "[")) - r.failed - r.spare
	r.required = r.active
	return r
}

// line reads a line below the one with the name.
func (r *raid) line(text string) {
	if blocks, rest, ok := strings.Cut(text, " blocks"); ok {
		r.blocks = float(blocks)
		r.synced = r.blocks
		all, up, ok := strings.Cut(between(rest, "[", "]"), "/")
		if ok {
			r.required, r.active = float(all), float(up)
		}
		return
	}
	for word, state := range map[string]string{"recovery": "recovering", "resync": "resync", "check": "check"} {
		if _, rest, ok := strings.Cut(text, word+" ="); ok {
			r.state = state
			done, _, _ := strings.Cut(between(rest, "(", ")"), "/")
			r.synced = float(done)
		}
	}
}

// between is the text between two others.
func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}

func (r *raid) add(s *metric.Set) {
	if r.name == "" {
		return
	}
	for _, one := range mdStates {
		s.Add(descMDActive, truth(one == r.state), "device", r.name, "state", one)
	}
	s.Add(descMDDisks, r.active, "device", r.name, "state", "active")
	s.Add(descMDDisks, r.failed, "device", r.name, "state", "failed")
	s.Add(descMDDisks, r.spare, "device", r.name, "state", "spare")
	s.Add(descMDRequired, r.required, "device", r.name)
	s.Add(descMDBlocks, r.blocks, "device", r.name)
	s.Add(descMDSynced, r.synced, "device", r.name)
}
