//go:build unix && !solaris && !aix

package spool

import (
	"os"
	"syscall"
)

// lock keeps a second process out. The kernel lets go when this one ends, however it ends.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
