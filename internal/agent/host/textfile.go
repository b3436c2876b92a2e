package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kept-dev/kept/internal/agent/expo"
	"github.com/kept-dev/kept/internal/agent/metric"
)

var (
	descTextError = gauge("node_textfile_scrape_error", "1 if there was an error opening or reading a file, 0 otherwise")
	descTextTime  = gauge("node_textfile_mtime_seconds", "Unixtime mtime of textfiles successfully read.")
)

// Limits of the folder.
const (
	maxTextFiles = 200
	maxTextBytes = 4 << 20
)

// textfiles reads *.prom files that other programs leave in a folder.
type textfiles struct {
	reader expo.Reader
	bad    map[string]bool
}

func (h *Host) textfile(s *metric.Set) error {
	if h.opts.TextfileDir == "" {
		return errNoData
	}
	files, err := filepath.Glob(filepath.Join(h.opts.TextfileDir, "*.prom"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(h.opts.TextfileDir); err != nil {
		return err
	}
	failed := false
	for _, file := range files[:min(len(files), maxTextFiles)] {
		err := h.textfiles.read(s, file)
		failed = failed || err != nil
		if bad := err != nil; bad != h.textfiles.bad[file] {
			if h.textfiles.bad == nil || len(h.textfiles.bad) > maxTextFiles {
				h.textfiles.bad = map[string]bool{}
			}
			h.textfiles.bad[file] = bad
			if bad {
				h.opts.Log.Warn("a text file cannot be read", "file", file, "error", err)
			}
		}
	}
	s.Add(descTextError, truth(failed))
	return nil
}

// read takes a file as a whole or not at all.
func (t *textfiles) read(s *metric.Set, file string) error {
	info, err := os.Stat(file) // before it is opened: opening a pipe would wait
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxTextBytes {
		return fmt.Errorf("not a file of at most %d bytes", maxTextBytes)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTextBytes))
	if err != nil {
		return err
	}
	text := string(b)
	open := strings.HasSuffix(strings.TrimRight(text, "\n"), "# EOF")
	check := func(one expo.Sample) error {
		if one.Stamped {
			return errors.New("a line has a time of its own, which is not supported here")
		}
		return nil
	}
	if err := t.reader.Read(text, open, check); err != nil {
		return err
	}
	s.Add(descTextTime, float64(info.ModTime().UnixNano())/1e9, "file", file)
	return t.reader.Read(text, open, func(one expo.Sample) error {
		s.AddWith(one.Desc, one.Value, one.Exemplar, one.Labels...)
		return nil
	})
}
