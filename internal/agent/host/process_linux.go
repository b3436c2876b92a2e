package host

import (
	"os"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// processes remembers what each process had used at the last look.
type processes struct {
	used map[int]used
	when time.Time
}

type used struct{ started, ticks uint64 }

// processes looks at all processes and tells about those few names that use most, by processor and by memory. It never
// reads their arguments or environment.
func (h *Host) processes(s *metric.Set) error {
	dir, err := os.Open(h.opts.Proc)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return err
	}
	now := h.opts.system.now()
	groups := map[string]*group{}
	seen := make(map[int]used, len(h.users.used))
	elapsed := now.Sub(h.users.when).Seconds()
	for _, name := range names {
		pid, ok := digits(name)
		if !ok {
			continue
		}
		text, err := h.read.file(h.opts.Proc + "/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		h.process(groups, seen, pid, text, elapsed)
	}
	first := h.users.used == nil
	h.users = processes{used: seen, when: now}
	addTop(s, groups, h.opts.TopProcesses, first)
	return nil
}

// process reads one line of /proc/<pid>/stat. The name stands in parentheses and may have any character.
func (h *Host) process(groups map[string]*group, seen map[int]used, pid int, text string, elapsed float64) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	var fields [22]string
	if open < 0 || end < open {
		return
	}
	f := columns(text[end+1:], fields[:0]) // f[0] is the state, the third column
	if len(f) < 22 {
		return
	}
	name := text[open+1 : end]
	const kernelThread = 0x00200000
	if flags := uint64(float(f[6])); flags&kernelThread != 0 {
		name, _, _ = strings.Cut(name, "/")
		name, _, _ = strings.Cut(name, ":")
		name = "[" + name + "]"
	}
	g := groups[name]
	if g == nil {
		g = &group{name: strings.ToValidUTF8(strings.Clone(name), "�")}
		groups[g.name] = g
	}
	g.count++
	g.memory += float(f[21]) * float64(os.Getpagesize())
	u := used{started: uint64(float(f[19])), ticks: uint64(float(f[11]) + float(f[12]))}
	seen[pid] = u
	if before := h.users.used[pid]; elapsed > 0 && h.users.used != nil {
		if before.started != u.started {
			before.ticks = 0 // it began since
		}
		g.cpu += float64(u.ticks-min(before.ticks, u.ticks)) / userHZ / elapsed
	}
}

func digits(name string) (n int, ok bool) {
	for i := range len(name) {
		c := name[i]
		if c < '0' || c > '9' || n > 1<<30 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, name != ""
}
