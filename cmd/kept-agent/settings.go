package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/agent"
	"github.com/kept-dev/kept/internal/agent/probe"
)

// settings are what flags, the environment and the configuration file say.
type settings struct {
	Server, Write, Key, Cert, CertKey, CA string
	Instance                              string
	Labels                                []string
	Interval                              time.Duration
	State                                 string
	BufferMB                              int64
	BufferAge                             time.Duration
	KeepSeries                            bool
	Only, Without                         []string
	IgnoreDevices, Textfile               string
	Top, MaxSeries                        int64
	Scrape, Probe                         []string
	ProbeEvery                            time.Duration
	Log                                   slog.Level
}

// setting is one of them: its name as a flag and in the file, and where its value goes.
type setting struct {
	name, placeholder, help string
	value                   any  // a pointer
	commas                  bool // several values may stand in one, separated by commas
}

// env is the variable of the environment that has the same meaning.
func (s setting) env() string {
	return "KEPT_AGENT_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// table lists all settings. This is also the order of the help.
func (s *settings) table() []setting {
	return []setting{
		{name: "server", placeholder: "URL", value: &s.Server, help: "Address of the server."},
		{name: "write", placeholder: "URL", value: &s.Write, help: "Address for samples, if it is not the server's usual one: any receiver of Prometheus remote write 2.0 or 1.0."},
		{name: "key", placeholder: "KEY", value: &s.Key, help: "Key that the server gave. Better in the file or the environment than as a flag, which all users of the machine see."},
		{name: "cert", placeholder: "FILE", value: &s.Cert, help: "Client certificate, for a server that asks for one."},
		{name: "cert-key", placeholder: "FILE", value: &s.CertKey, help: "Its private key."},
		{name: "ca", placeholder: "FILE", value: &s.CA, help: "Certificates to trust instead of the system's."},
		{name: "instance", placeholder: "NAME", value: &s.Instance, help: "What the server calls this host: the label instance. By default its name."},
		{name: "label", placeholder: "NAME=VALUE", value: &s.Labels, help: "Label for all series. May be given several times."},
		{name: "interval", placeholder: "TIME", value: &s.Interval, help: "Time between measurements, in whole seconds."},
		{name: "state", placeholder: "DIR", value: &s.State, help: "Folder for what waits to be sent."},
		{name: "buffer-mb", placeholder: "N", value: &s.BufferMB, help: "How many megabytes may wait."},
		{name: "buffer-age", placeholder: "TIME", value: &s.BufferAge, help: "How old what waits may be."},
		{name: "keep-series", value: &s.KeepSeries, help: "Do not mark series as ended when the agent stops."},
		{name: "only", placeholder: "NAME,…", value: &s.Only, commas: true, help: "Collectors to run, and no others; none for none."},
		{name: "without", placeholder: "NAME,…", value: &s.Without, commas: true, help: "Collectors to leave out."},
		{name: "ignore-devices", placeholder: "REGEXP", value: &s.IgnoreDevices, help: "Network devices to leave out, as a regular expression such as ^veth."},
		{name: "textfile", placeholder: "DIR", value: &s.Textfile, help: "Folder with *.prom files that other programs write."},
		{name: "top", placeholder: "N", value: &s.Top, help: "How many names of processes to tell of, by processor and by memory each."},
		{name: "max-series", placeholder: "N", value: &s.MaxSeries, help: "How many series the host, and each target, may have."},
		{name: "scrape", placeholder: "JOB=URL", value: &s.Scrape, help: "Program that exposes measurements over HTTP. May be given several times."},
		{name: "probe", placeholder: "NAME=URL", value: &s.Probe, help: "Service to ask now and then: http://…, https://…, tcp://host:port or tls://host:port. May be given several times."},
		{name: "probe-every", placeholder: "TIME", value: &s.ProbeEvery, help: "Time between two tries of each probe."},
		{name: "log", placeholder: "LEVEL", value: &s.Log, help: "Least important messages to log: DEBUG, INFO, WARN or ERROR."},
	}
}

// defaults are the values of what nobody set.
func defaults() settings {
	return settings{Interval: 15 * time.Second, BufferMB: 256, BufferAge: 48 * time.Hour, Top: 10, MaxSeries: 20_000, ProbeEvery: time.Minute}
}

// set reads a value. Lists get longer.
func (s setting) set(text string) (err error) {
	switch v := s.value.(type) {
	case *string:
		*v = text
	case *[]string:
		list := []string{text}
		if s.commas {
			list = strings.Split(text, ",")
		}
		for _, one := range list {
			*v = append(*v, strings.TrimSpace(one))
		}
	case *bool:
		*v, err = strconv.ParseBool(text)
	case *int64:
		*v, err = strconv.ParseInt(text, 10, 32)
	case *time.Duration:
		*v, err = time.ParseDuration(text)
	case *slog.Level:
		err = v.UnmarshalText([]byte(text))
	default:
		err = errors.New("this setting cannot be set")
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not what is wanted here", s.name, text)
	}
	return nil
}

// shown is the default value for the help, "" where there is none.
func (s setting) shown() string {
	switch v := s.value.(type) {
	case *int64:
		return strconv.FormatInt(*v, 10)
	case *time.Duration:
		return strings.TrimSuffix(strings.TrimSuffix(v.String(), "0s"), "0m")
	case *slog.Level:
		return v.String()
	}
	return ""
}

// agentConfig turns settings into what the agent wants.
func (s *settings) agentConfig(log *slog.Logger) (agent.Config, error) {
	c := agent.Config{
		Server: s.Server, Write: s.Write, Key: s.Key, CertFile: s.Cert, KeyFile: s.CertKey, CAFile: s.CA,
		StateDir: s.State, BufferBytes: s.BufferMB << 20, BufferAge: s.BufferAge, KeepOnExit: s.KeepSeries,
		Interval: s.Interval, Instance: s.Instance, Labels: map[string]string{},
		Only: s.Only, Except: s.Without, IgnoreDevices: s.IgnoreDevices, TextfileDir: s.Textfile, TopProcesses: int(s.Top),
		MaxSeries: int(s.MaxSeries), Version: version(), Log: log,
	}
	if c.StateDir == "" {
		c.StateDir = defaultState()
	}
	if len(c.Only) == 1 && c.Only[0] == "none" {
		c.Only = []string{}
	}
	for _, pair := range s.Labels {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return c, fmt.Errorf("label %s: want name=value", pair)
		}
		c.Labels[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	for _, text := range s.Scrape {
		name, address := named(text)
		c.Targets = append(c.Targets, agent.Target{Job: name, URL: address})
	}
	for _, text := range s.Probe {
		name, address := named(text)
		c.Probes = append(c.Probes, probe.Probe{Name: name, URL: address, Every: s.ProbeEvery})
	}
	return c, nil
}

// named takes name=address apart. Without a name, the host of the address is one.
func named(text string) (name, address string) {
	name, address, ok := strings.Cut(text, "=")
	if ok && !strings.Contains(name, "/") {
		return strings.TrimSpace(name), strings.TrimSpace(address)
	}
	if u, err := url.Parse(text); err == nil {
		return u.Host, text
	}
	return "", text
}

// defaultState is where the service manager says, or where such things are on the system.
func defaultState() string {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 && runtime.GOOS == "linux" {
		return "/var/lib/kept-agent"
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "kept-agent")
	}
	return ""
}

// defaultConfig is the file that enrolment writes and all commands read.
func defaultConfig() string {
	if os.Geteuid() == 0 && runtime.GOOS == "linux" {
		return "/etc/kept-agent/config"
	}
	if dir, err := os.UserConfigDir(); err == nil {
		return filepath.Join(dir, "kept-agent", "config")
	}
	return "kept-agent.config"
}

var errNoConfig = errors.New("this host is not enrolled yet. Ask the server for a token (Hosts, Connect) and run:\n\n  sudo kept-agent enrol https://your-server TOKEN")
