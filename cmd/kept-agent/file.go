package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// file is the configuration file as a source of flags.
type file struct {
	path    string
	named   bool // somebody said which file, so it must be there
	environ map[string]bool
	values  map[string][]string
}

const maxConfig = 1 << 20

// newFile finds out which file it is before flags are parsed, for it has the values of flags.
func newFile(args, environ []string) *file {
	f := &file{path: defaultConfig(), environ: map[string]bool{}, values: map[string][]string{}}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		f.environ[name] = value != ""
		if name == "KEPT_AGENT_CONFIG" && value != "" {
			f.path, f.named = value, true
		}
	}
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			f.path, f.named = value, true
		} else if arg == "--config" && i+1 < len(args) {
			f.path, f.named = args[i+1], true
		}
	}
	return f
}

func (f *file) read() error {
	in, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // before enrolment; commands that need settings say so
	}
	if err != nil {
		if f.named || os.Geteuid() == 0 {
			return err
		}
		return nil
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxConfig))
	if err != nil {
		return err
	}
	f.values, err = parseFile(string(b))
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}

// parseFile reads lines such as "scrape = redis=http://localhost:9121/metrics". A name may come several times.
func parseFile(text string) (map[string][]string, error) {
	out := map[string][]string{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, fmt.Errorf("line %d: want name = value", number)
		}
		out[name] = append(out[name], value)
	}
	return out, nil
}

// Validate refuses names that there are not: a setting that does nothing is worse than an error.
func (f *file) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, flag := range app.Flags {
		known[flag.Name] = true
	}
	for name := range f.values {
		if !known[name] || name == "config" || name == "help" {
			return fmt.Errorf("%s: there is no setting %q; kept-agent --help lists them", f.path, name)
		}
	}
	return nil
}

// Resolve gives kong what the file says. The environment goes first.
func (f *file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	values := f.values[flag.Name]
	if len(values) == 0 {
		return nil, nil
	}
	for _, env := range flag.Envs {
		if f.environ[env] {
			return nil, nil
		}
	}
	if !flag.IsSlice() {
		return values[len(values)-1], nil
	}
	list := make([]any, 0, len(values))
	for _, value := range values {
		if flag.Tag.Sep == -1 {
			list = append(list, value)
			continue
		}
		for one := range strings.SplitSeq(value, ",") {
			list = append(list, strings.TrimSpace(one))
		}
	}
	return list, nil
}
