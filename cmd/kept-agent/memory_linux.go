package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// giveBack lets go of memory that was needed to start: what the heap does not use any more, and the parts of the program
// that only starting needs, which is most of it. The kernel maps the others again as they are used.
func giveBack() {
	debug.FreeOSMemory()
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != program || !strings.HasPrefix(f[1], "r") || strings.Contains(f[1], "w") {
			continue // not a part of the program that never changes
		}
		from, to, _ := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && start < end {
			_ = advise(uintptr(start), uintptr(end-start))
		}
	}
}

// advise says of a range that nothing in it need stay in memory.
func advise(start, length uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_MADVISE, start, length, unix.MADV_DONTNEED)
	if errno != 0 {
		return errno
	}
	return nil
}
