package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/agent"
	"github.com/kept-dev/kept/internal/agent/probe"
)

// settings are the flags of all commands. The configuration file has the same names, without dashes before them.
type settings struct {
	Config string `help:"Configuration file: name = value, one a line, with the names of these flags." type:"path" default:"${config}" env:"KEPT_AGENT_CONFIG" placeholder:"FILE"`

	Server   string `help:"Address of the server." env:"KEPT_AGENT_SERVER" placeholder:"URL"`
	Write    string `help:"Address for samples, if it is not the server's usual one: any receiver of Prometheus remote write 2.0 (or 1.0)." env:"KEPT_AGENT_WRITE" placeholder:"URL"`
	Key      string `help:"Key that the server gave. Better in the file or the environment than here, where all users of the machine see it." env:"KEPT_AGENT_KEY" placeholder:"KEY"`
	Cert     string `help:"Client certificate, for a server that asks for one." type:"path" env:"KEPT_AGENT_CERT" placeholder:"FILE"`
	CertKey  string `help:"Its private key." type:"path" env:"KEPT_AGENT_CERT_KEY" placeholder:"FILE"`
	CA       string `help:"Certificates to trust instead of the system's." type:"path" env:"KEPT_AGENT_CA" placeholder:"FILE"`
	Instance string `help:"What the server calls this host: the label instance. Default: its name." env:"KEPT_AGENT_INSTANCE" placeholder:"NAME"`

	Label    []string      `help:"Label for all series. May be given several times." sep:"none" env:"KEPT_AGENT_LABEL" placeholder:"NAME=VALUE"`
	Interval time.Duration `help:"Time between measurements, in whole seconds." default:"15s" env:"KEPT_AGENT_INTERVAL"`

	State      string        `help:"Folder for what waits to be sent." type:"path" env:"KEPT_AGENT_STATE" placeholder:"DIR"`
	BufferMB   int64         `name:"buffer-mb" help:"How many megabytes may wait." default:"256" env:"KEPT_AGENT_BUFFER_MB"`
	BufferAge  time.Duration `help:"How old what waits may be." default:"48h" env:"KEPT_AGENT_BUFFER_AGE"`
	KeepSeries bool          `help:"Do not mark series as ended when the agent stops." env:"KEPT_AGENT_KEEP_SERIES"`

	Only          []string `help:"Collectors to run, and no others; \"none\" for none." env:"KEPT_AGENT_ONLY" placeholder:"NAME,…"`
	Without       []string `help:"Collectors to leave out." env:"KEPT_AGENT_WITHOUT" placeholder:"NAME,…"`
	IgnoreDevices string   `help:"Network devices to leave out, as a regular expression such as ^veth." env:"KEPT_AGENT_IGNORE_DEVICES" placeholder:"REGEXP"`
	Textfile      string   `help:"Folder with *.prom files that other programs write." type:"path" env:"KEPT_AGENT_TEXTFILE" placeholder:"DIR"`
	Top           int      `help:"How many names of processes to tell of, by processor and by memory each." default:"10" env:"KEPT_AGENT_TOP"`
	MaxSeries     int      `help:"How many series the host, and each target, may have." default:"20000" env:"KEPT_AGENT_MAX_SERIES"`

	Scrape []string `help:"Program that exposes measurements over HTTP. May be given several times." sep:"none" env:"KEPT_AGENT_SCRAPE" placeholder:"JOB=URL"`
	Probe  []string `help:"Service to ask once a minute: http://…, https://…, tcp://host:port or tls://host:port. May be given several times." sep:"none" env:"KEPT_AGENT_PROBE" placeholder:"NAME=URL"`

	Log slog.Level `help:"Least important messages to log: DEBUG, INFO, WARN or ERROR." default:"INFO" env:"KEPT_AGENT_LOG"`
}

// agentConfig turns settings into what the agent wants.
func (s *settings) agentConfig(log *slog.Logger) (agent.Config, error) {
	c := agent.Config{
		Server: s.Server, Write: s.Write, Key: s.Key, CertFile: s.Cert, KeyFile: s.CertKey, CAFile: s.CA,
		StateDir: s.State, BufferBytes: s.BufferMB << 20, BufferAge: s.BufferAge, KeepOnExit: s.KeepSeries,
		Interval: s.Interval, Instance: s.Instance, Labels: map[string]string{},
		Only: s.Only, Except: s.Without, IgnoreDevices: s.IgnoreDevices, TextfileDir: s.Textfile, TopProcesses: s.Top,
		MaxSeries: s.MaxSeries, Version: version(), Log: log,
	}
	if c.StateDir == "" {
		c.StateDir = defaultState()
	}
	if len(c.Only) == 1 && c.Only[0] == "none" {
		c.Only = []string{}
	}
	for _, pair := range s.Label {
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
		c.Probes = append(c.Probes, probe.Probe{Name: name, URL: address})
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
