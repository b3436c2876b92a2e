package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockName is a file of the data directory on which the server holds a lock of the operating system, which ends with
// the process, however that ends.
const lockName = "kept.lock"

var errLocked = errors.New("locked by another process")

// lockDir claims a data directory for this process.
func lockDir(dir string) (release func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory cannot be claimed: %w", err)
	}
	if err := lockFile(f); err != nil {
		holder := readHolder(f)
		f.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("another kept serve%s uses the data directory %s: stop it first, give this one another --data, or use PostgreSQL for several servers", holder, dir)
		}
		return nil, fmt.Errorf("the data directory cannot be claimed: %w", err)
	}
	if err := writeHolder(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("the data directory cannot be claimed: %w", err)
	}
	return f.Close, nil
}

func readHolder(f *os.File) string {
	text, _ := io.ReadAll(io.NewSectionReader(f, 0, 20)) // only for the message
	if pid := strings.TrimSpace(string(text)); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
