package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/agent"
)

// runAgent is the agent itself.
func runAgent(ctx context.Context, l *line, log *slog.Logger) error {
	conf, err := l.agentConfig(log)
	if err != nil {
		return err
	}
	if conf.Server == "" && conf.Write == "" {
		return errNoConfig
	}
	a, err := agent.New(conf)
	if err != nil {
		return err
	}
	log.Info("kept-agent runs", "version", version(), "server", l.Server+l.Write, "interval", conf.Interval, "buffer", conf.StateDir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go staySmall(ctx, conf.Interval)
	return a.Run(ctx)
}

// staySmall gives memory back when the command line was read, when all has run once and twice, and now and then.
func staySmall(ctx context.Context, interval time.Duration) {
	for _, wait := range []time.Duration{0, 2 * time.Second, interval * 3 / 2} {
		giveBackAfter(ctx, wait)
	}
	for ctx.Err() == nil {
		giveBackAfter(ctx, 10*time.Minute)
	}
}

func giveBackAfter(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		giveBack()
	case <-ctx.Done():
	}
}

// dryRun prints what runAgent would send.
func dryRun(ctx context.Context, l *line, log *slog.Logger, w io.Writer) error {
	conf, err := l.agentConfig(log)
	if err != nil {
		return err
	}
	return agent.DryRun(ctx, conf, w)
}

// enrol exchanges the token for a key, or has the agent's own certificate known, and writes the configuration file.
func enrol(ctx context.Context, l *line, log *slog.Logger, w io.Writer) error {
	l.Server, l.Key = strings.TrimRight(l.args[0], "/"), ""
	conf, err := l.agentConfig(log)
	if err != nil {
		return err
	}
	for _, file := range []string{l.config, filepath.Join(conf.StateDir, "identity.pem")} {
		if err := writable(file); err != nil { // before the token is spent
			return err
		}
	}
	answer, err := agent.Enrol(ctx, conf, l.args[1])
	if err != nil {
		return err
	}
	if err := writeConfig(l.config, l.Server, answer.Key); err != nil {
		return err
	}
	fmt.Fprintf(w, "This host is enrolled in %s. Its settings are in %s.\n", answer.WorkspaceName, l.config)
	if answer.Key == "" {
		fmt.Fprintln(w, "It shows who it is by a certificate of its own, which it renews by itself. Its private key is on this host only.")
	}
	if answer.Page != "" {
		fmt.Fprintf(w, "You will find it at %s\n", answer.Page)
	}
	if (l.start == nil || *l.start) && os.Geteuid() == 0 && haveSystemd() {
		return writeUnit(ctx, unitPath, w, true)
	}
	fmt.Fprintf(w, "\nNext, as a service with systemd, as root:\n\n  kept-agent install --start\n\nor here and now:\n\n  kept-agent --config %s\n", l.config)
	return nil
}

// writable finds out whether the configuration can be written.
func writable(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".config-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// writeConfig puts server and key into the file, and keeps what else is there. Only the owner can read it.
func writeConfig(path, server, key string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var b strings.Builder
	if len(old) == 0 {
		b.WriteString("# Settings of kept-agent: name = value, one a line. kept-agent --help lists the names.\n")
	}
	for line := range strings.Lines(string(old)) {
		name, _, _ := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); name != "server" && name != "key" {
			b.WriteString(strings.TrimRight(line, "\n") + "\n")
		}
	}
	fmt.Fprintf(&b, "server = %s\n", server)
	if key != "" {
		fmt.Fprintf(&b, "key = %s\n", key)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(b.String())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// haveSystemd tells whether systemd runs this machine.
func haveSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

//go:embed kept-agent.service
var unit string

const unitPath = "/etc/systemd/system/kept-agent.service"

// install prints the unit, or writes it.
func install(ctx context.Context, l *line, w io.Writer) error {
	start := l.start != nil && *l.start
	if !l.save && !start {
		_, err := fmt.Fprint(w, unitText())
		return err
	}
	return writeUnit(ctx, unitPath, w, start)
}

// unitText is the unit with the place of this program.
func unitText() string {
	program := "/usr/local/bin/kept-agent"
	if path, err := os.Executable(); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && !strings.ContainsAny(path, " \t%") {
			program = path
		}
	}
	return strings.ReplaceAll(unit, "/usr/local/bin/kept-agent", program)
}

// writeUnit writes the unit and perhaps starts it.
func writeUnit(ctx context.Context, path string, w io.Writer, start bool) error {
	if err := os.WriteFile(path, []byte(unitText()), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(w, "The unit is in %s.\n", path)
	if !start {
		fmt.Fprintf(w, "\nNext:\n\n  systemctl daemon-reload && systemctl enable --now kept-agent\n")
		return nil
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "kept-agent"}, {"restart", "kept-agent"}} {
		if text, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl %s: %w: %s", args[0], err, strings.TrimSpace(string(text)))
		}
	}
	fmt.Fprintln(w, "It runs. Its log: journalctl -u kept-agent")
	return nil
}
