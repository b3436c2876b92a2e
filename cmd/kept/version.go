package main

import (
	"fmt"
	"runtime"

	"github.com/kept-dev/kept/internal/app"
)

type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(w out) error {
	_, err := fmt.Fprintf(w, "kept %s %s %s/%s\n", app.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
