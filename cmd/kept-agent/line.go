package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// line is what the command line and the other sources of settings say. It is read by hand: a library for it would be a
// fifth of the program's memory.
type line struct {
	settings
	command    string
	args       []string
	config     string // the configuration file
	named      bool   // somebody said which, so it must be there
	help       bool
	start      *bool // nil if nothing was said
	save       bool
	fromFlags  map[string]bool
	fromEnv    map[string]bool
	environ    map[string]string
	settingsBy map[string]setting
}

// words are the arguments of each command.
var words = map[string]int{"run": 0, "enrol": 2, "dry-run": 0, "install": 0, "version": 0}

// readLine reads flags, then the environment, then the file. What comes first counts.
func readLine(args, environ []string) (*line, error) {
	l := &line{settings: defaults(), config: defaultConfig(), fromFlags: map[string]bool{}, fromEnv: map[string]bool{},
		environ: map[string]string{}, settingsBy: map[string]setting{}}
	for _, s := range l.table() {
		l.settingsBy[s.name] = s
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		l.environ[name] = value
	}
	if path := l.environ["KEPT_AGENT_CONFIG"]; path != "" {
		l.config, l.named = path, true
	}
	if err := l.flags(args); err != nil || l.help {
		return l, err
	}
	if want, ok := words[l.command]; !ok || len(l.args) != want {
		return l, fmt.Errorf("%s: no such command, or not its arguments; see kept-agent --help", strings.Join(append([]string{l.command}, l.args...), " "))
	}
	if err := l.environment(); err != nil || l.command == "version" {
		return l, err // which version this is depends on no settings
	}
	return l, l.file()
}

// flags reads the command line. Flags may stand before and behind the command.
func (l *line) flags(args []string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, given := strings.Cut(arg, "=")
		switch {
		case arg == "-h", arg == "--help":
			l.help = true
		case arg == "--dry-run":
			l.command = "dry-run"
		case !strings.HasPrefix(arg, "-") && l.command == "":
			l.command = arg
		case !strings.HasPrefix(arg, "-"):
			l.args = append(l.args, arg)
		case !strings.HasPrefix(arg, "--"):
			return fmt.Errorf("unknown flag %s", arg)
		default:
			rest, err := l.flag(name[2:], value, given, args)
			if err != nil {
				return err
			}
			args = rest
		}
	}
	if l.command == "" {
		l.command = "run"
	}
	return nil
}

// flag reads one flag and returns the arguments after it.
func (l *line) flag(name, value string, given bool, args []string) ([]string, error) {
	yes := value != "false"
	switch name {
	case "start":
		l.start = &yes
		return args, nil
	case "no-start":
		yes = false
		l.start = &yes
		return args, nil
	case "save":
		l.save = yes
		return args, nil
	}
	s, ok := l.settingsBy[name]
	if !ok && name != "config" {
		return nil, fmt.Errorf("unknown flag --%s; see kept-agent --help", name)
	}
	if _, simple := s.value.(*bool); simple && !given {
		value, given = "true", true
	}
	if !given {
		if len(args) == 0 {
			return nil, fmt.Errorf("--%s needs a value", name)
		}
		value, args = args[0], args[1:]
	}
	if name == "config" {
		l.config, l.named = value, true
		return args, nil
	}
	l.fromFlags[name] = true
	return args, s.set(value)
}

func (l *line) environment() error {
	for _, s := range l.table() {
		value := l.environ[s.env()]
		if value == "" || l.fromFlags[s.name] {
			continue
		}
		l.fromEnv[s.name] = true
		if err := s.set(value); err != nil {
			return fmt.Errorf("%s: %w", s.env(), err)
		}
	}
	return nil
}

const maxConfig = 1 << 20

// file reads the configuration file: lines such as "scrape = redis=http://localhost:9121/metrics". A setting that there is
// not is an error, for one that does nothing is worse.
func (l *line) file() error {
	in, err := os.Open(l.config)
	if errors.Is(err, os.ErrNotExist) && (!l.named || l.command == "enrol") {
		return nil // before enrolment; commands that need settings say so
	}
	if errors.Is(err, os.ErrPermission) && !l.named {
		return nil // it is the service's, and somebody looks what the program can do
	}
	if err != nil {
		return err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxConfig))
	if err != nil {
		return err
	}
	number := 0
	for text := range strings.Lines(string(b)) {
		number++
		if err := l.fileLine(strings.TrimSpace(text)); err != nil {
			return fmt.Errorf("%s, line %d: %w", l.config, number, err)
		}
	}
	return nil
}

func (l *line) fileLine(text string) error {
	if text == "" || text[0] == '#' {
		return nil
	}
	name, value, ok := strings.Cut(text, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || name == "" {
		return errors.New("want name = value")
	}
	s, ok := l.settingsBy[name]
	if !ok {
		return fmt.Errorf("there is no setting %q; kept-agent --help lists them", name)
	}
	if l.fromFlags[name] || l.fromEnv[name] {
		return nil
	}
	return s.set(value)
}

const usage = `Usage: kept-agent [COMMAND] [FLAGS]

Reports this host to a Kept server. Settings come from flags, then from the environment, then from the configuration file.

Commands:
  run                Measure and send, until stopped. This is what it does without a command.
  enrol URL TOKEN    Make this host known to a server, with a token that works once. It writes the configuration and, where
                     there is systemd and the user is root, installs and starts the service (--no-start leaves that out).
  dry-run            Measure once and print exactly what would be sent. Nothing is sent.
  install            Print the systemd unit; --save writes it, --start also starts it.
  version            Say which version this is.

Flags:
`

// printHelp writes what there is to say.
func printHelp(w io.Writer) error {
	s := defaults()
	var b strings.Builder
	b.WriteString(usage)
	row := func(flag, help string) { fmt.Fprintf(&b, "  %-24s %s\n", flag, help) }
	row("--config FILE", "Configuration file: name = value, one a line, with the names of these flags. KEPT_AGENT_CONFIG, default "+defaultConfig())
	for _, one := range s.table() {
		flag := "--" + one.name
		if one.placeholder != "" {
			flag += " " + one.placeholder
		}
		help := one.help + " " + one.env()
		if d := one.shown(); d != "" {
			help += ", default " + d
		}
		row(flag, help)
	}
	row("--help", "Show this.")
	_, err := io.WriteString(w, b.String())
	return err
}
