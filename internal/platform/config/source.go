package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
)

const (
	prefix     = "KEPT_"
	fileSuffix = "_FILE"
	fileFlag   = "config"
	// maxFile bounds the configuration file and files with secrets, in bytes.
	maxFile = 1 << 20
)

// Key is the name that a flag has in the environment and in the file.
func Key(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Source gives kong the settings that are not on the command line: from the environment, else from the file. A secret
// may also be named as KEPT_X_FILE, whose first line is the value.
type Source struct {
	env   map[string]string
	file  map[string]string
	lines map[string]int // where a key stands in the file
	path  string
}

var _ kong.Resolver = (*Source)(nil)

// NewSource takes the environment as os.Environ has it, and the file that --config or KEPT_CONFIG names in args or
// there. No file is fine; a named one that cannot be read is not.
func NewSource(args, environ []string) (*Source, error) {
	s := &Source{env: map[string]string{}}
	for _, pair := range environ {
		if k, v, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(k, prefix) {
			s.env[k] = v
		}
	}
	s.path = configArg(args)
	if s.path == "" {
		s.path = s.env[Key(fileFlag)]
	}
	if s.path == "" {
		return s, nil
	}
	text, err := readLimited(s.path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	if s.file, s.lines, err = parse(text); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	return s, nil
}

// configArg finds --config before kong parses, because what the file says is needed while it does.
func configArg(args []string) string {
	for i, arg := range args {
		switch {
		case arg == "--":
			return ""
		case arg == "--"+fileFlag && i+1 < len(args):
			return args[i+1]
		case strings.HasPrefix(arg, "--"+fileFlag+"="):
			return strings.TrimPrefix(arg, "--"+fileFlag+"=")
		}
	}
	return ""
}

func readLimited(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return string(b), err
}

// parse reads lines of KEY=VALUE. Empty lines and lines that begin with # say nothing; a value may stand in quotes,
// which keep its blanks.
func parse(text string) (values map[string]string, lines map[string]int, err error) {
	values, lines = map[string]string{}, map[string]int{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, nil, fmt.Errorf("line %d is not KEY=VALUE", number)
		}
		if first, twice := lines[key]; twice {
			return nil, nil, fmt.Errorf("line %d: %s stands on line %d already", number, key, first)
		}
		if values[key], err = unquote(strings.TrimSpace(value)); err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", number, err)
		}
		lines[key] = number
	}
	return values, lines, nil
}

func unquote(v string) (string, error) {
	if v == "" || v[0] != '"' && v[0] != '\'' {
		return v, nil
	}
	if len(v) < 2 || v[len(v)-1] != v[0] {
		return "", errors.New("a quote is not closed")
	}
	return v[1 : len(v)-1], nil
}

// Resolve is the value of a flag, or nil when neither the environment nor the file has it. A key with an empty value
// counts as absent, as in an env file of which only some lines are filled in.
func (s *Source) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, values := range []map[string]string{s.env, s.file} {
		if v := values[Key(flag.Name)]; v != "" {
			return v, nil
		}
		path := values[Key(flag.Name)+fileSuffix]
		if path == "" || !isSecret(flag) {
			continue
		}
		text, err := readLimited(path)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", Key(flag.Name), fileSuffix, withoutPathTwice(err))
		}
		first, _, _ := strings.Cut(text, "\n")
		return strings.TrimSpace(first), nil
	}
	return nil, nil
}

func withoutPathTwice(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("%s: %w", pathErr.Path, pathErr.Err)
	}
	return err
}

func isSecret(flag *kong.Flag) bool { return flag.Tag.Has("secret") }

// Validate refuses keys of the file that no command has. The environment is not checked: orchestrators put variables of
// their own there (KEPT_PORT for a service that is named kept).
func (s *Source) Validate(app *kong.Application) error {
	known := map[string]bool{}
	collectKeys(app.Node, known)
	for _, key := range sortedKeys(s.file) {
		if known[key] {
			continue
		}
		hint := ""
		if near := Nearest(key, sortedKeys(known)); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return fmt.Errorf("%s: line %d: there is no setting %s%s", s.path, s.lines[key], key, hint)
	}
	return nil
}

func collectKeys(n *kong.Node, known map[string]bool) {
	for _, flag := range n.Flags {
		if flag.Name == "help" || flag.Name == fileFlag {
			continue
		}
		known[Key(flag.Name)] = true
		if isSecret(flag) {
			known[Key(flag.Name)+fileSuffix] = true
		}
	}
	for _, child := range n.Children {
		collectKeys(child, known)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
