//go:build !linux

package main

import "runtime/debug"

// giveBack lets go of memory that was needed to start.
func giveBack() { debug.FreeOSMemory() }
