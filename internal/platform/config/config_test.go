package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kept.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parseAll reads a Config as a command does: from flags, then the environment, then a file.
func parseAll(t *testing.T, args, environ []string) (Config, error) {
	t.Helper()
	var cli struct {
		Config string
		Serve  struct {
			Config `embed:""`
		} `cmd:""`
	}
	src, err := NewSource(args, environ)
	if err != nil {
		return Config{}, err
	}
	parser, err := Parser(&cli, src)
	if err != nil {
		return Config{}, err
	}
	_, err = parser.Parse(append([]string{"serve"}, args...))
	return cli.Serve.Config, err
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, "# ours\n\nKEPT_ADDR=file:1\nexport KEPT_DATA=\"from file\"\nKEPT_LOG_FORMAT='json'\nKEPT_SMTP_HOST=\n")
	env := []string{"KEPT_ADDR=env:2", "KEPT_DATA=from env", "PATH=/bin", "KEPT_CONFIG=" + file, "KEPT_PORT=tcp://10.0.0.1"}
	cfg, err := parseAll(t, []string{"--addr", "flag:3"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != "flag:3" || cfg.Data != "from env" || cfg.LogFormat != "json" || cfg.SMTPPort != 587 || cfg.SMTPHost != "" {
		t.Errorf("got %+v", cfg)
	}
	if cfg, err = parseAll(t, []string{"--config=" + file}, nil); err != nil || cfg.Data != "from file" {
		t.Errorf("--config: %q, %v", cfg.Data, err)
	}
}

func TestUnknownKeyNamesTheNearest(t *testing.T) {
	t.Parallel()
	_, err := parseAll(t, []string{"--config", write(t, "KEPT_DATA=x\nKEPT_SMPT_HOST=mail\n")}, nil)
	if err == nil || !strings.Contains(err.Error(), "line 2: there is no setting KEPT_SMPT_HOST; did you mean KEPT_SMTP_HOST?") {
		t.Errorf("got %v", err)
	}
	_, err = parseAll(t, []string{"--config", write(t, "COMPLETELY_DIFFERENT=x\n")}, nil)
	if err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("got %v", err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"KEPT_DATA":                  "line 1 is not KEY=VALUE",
		"\n=x":                       "line 2 is not KEY=VALUE",
		"KEPT_DATA=\"x":              "a quote is not closed",
		"KEPT_DATA=a\nKEPT_DATA=b":   "stands on line 1 already",
		strings.Repeat("#", 1<<20+1): "larger than",
	} {
		if _, err := NewSource([]string{"--config", write(t, text)}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if _, err := NewSource([]string{"--config", "/does/not/exist"}, nil); err == nil {
		t.Error("a file that is not there is accepted")
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	secret := write(t, "hunter2\n")
	cfg, err := parseAll(t, nil, []string{"KEPT_SMTP_PASSWORD_FILE=" + secret})
	if err != nil || cfg.SMTPPassword.Text() != "hunter2" {
		t.Errorf("from the environment: %q, %v", cfg.SMTPPassword.Text(), err)
	}
	cfg, err = parseAll(t, []string{"--config", write(t, "KEPT_SMTP_PASSWORD_FILE="+secret)}, nil)
	if err != nil || cfg.SMTPPassword.Text() != "hunter2" {
		t.Errorf("from the file: %q, %v", cfg.SMTPPassword.Text(), err)
	}
	if _, err = parseAll(t, nil, []string{"KEPT_SMTP_PASSWORD_FILE=/does/not/exist"}); err == nil || !strings.Contains(err.Error(), "KEPT_SMTP_PASSWORD_FILE") {
		t.Errorf("missing: %v", err)
	}
	if _, err = parseAll(t, []string{"--config", write(t, "KEPT_ADDR_FILE="+secret)}, nil); err == nil {
		t.Error("what is no secret may come from a file of its own")
	}
}

func TestPrintingHidesSecrets(t *testing.T) {
	t.Parallel()
	cfg := Default()
	cfg.SMTPPassword, cfg.Database, cfg.InstanceKey = "hunter2", "postgres://kept:hunter2@db/kept", "hunter2"
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cfg", cfg, "password", cfg.SMTPPassword)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "cfg", cfg, "password", cfg.SMTPPassword)
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %x", cfg, cfg, cfg, cfg.SMTPPassword, cfg.SMTPPassword, cfg.SMTPPassword) + string(b) + log.String()
	if strings.Contains(all, "hunter2") || strings.Contains(all, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("a secret is printed: %s", all)
	}
	if !strings.Contains(all, hidden) {
		t.Error("nothing says that there is a secret")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	cfg := Default()
	if err := cfg.Validate(); err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	for want, change := range map[string]func(*Config){
		"--data (KEPT_DATA): name a directory":          func(c *Config) { c.Data = "" },
		"--addr (KEPT_ADDR): \"8080\" is not HOST:PORT": func(c *Config) { c.Addr = "8080" },
		"must begin with postgres://":                   func(c *Config) { c.Database = "mysql://x" },
		"is not an address such as":                     func(c *Config) { c.BaseURL = "kept.example.com" },
		"from the root of a host: leave out \"/kept\"":  func(c *Config) { c.BaseURL = "https://example.com/kept" },
		"neither an address nor a network":              func(c *Config) { c.TrustedProxy = []string{"proxy"} },
		"give both":                                     func(c *Config) { c.TLSCert = "x" },
		"no such file":                                  func(c *Config) { c.TLSCert, c.TLSKey = "/nope", "/nope" },
		"use starttls, tls or none":                     func(c *Config) { c.SMTPTLS = "ssl" },
		"is not a port":                                 func(c *Config) { c.SMTPPort = 0 },
		"name the sender":                               func(c *Config) { c.SMTPHost = "mail" },
		"leave out this or --smtp-host":                 func(c *Config) { c.SMTPHost, c.SESRegion = "mail", "eu-west-1" },
		"with --mailgun-domain, give an API key":        func(c *Config) { c.MailgunDomain, c.SMTPFrom = "mg.example.com", "a@example.com" },
		"use us or eu": func(c *Config) {
			c.MailgunDomain, c.MailgunKey, c.MailgunRegion, c.SMTPFrom = "mg.example.com", "k", "de", "a@example.com"
		},
		"is not a region such as": func(c *Config) { c.SESRegion, c.SMTPFrom = "evil.example/", "a@example.com" },
		"give an access key":      func(c *Config) { c.SESRegion, c.SMTPFrom = "eu-west-1", "a@example.com" },
		"is not the ARN of an SNS topic": func(c *Config) {
			c.SESRegion, c.SMTPFrom, c.SESAccessKey, c.SESSecretKey, c.SESTopic = "eu-west-1", "a@example.com", "k", "s", "t"
		},
		"use text or json": func(c *Config) { c.LogFormat = "xml" },
		"use debug":        func(c *Config) { c.LogLevel = "loud" },
		"allows 90 to 365": func(c *Config) { c.AccessLogDays = 30 },
		"it is negative":   func(c *Config) { c.ShutdownGrace = -1 },
	} {
		bad := Default()
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	cfg.TrustedProxy = []string{"10.1.2.3/8", "192.0.2.1", "2001:db8::1"}
	got, err := cfg.Proxies()
	if err != nil || fmt.Sprint(got) != "[10.0.0.0/8 192.0.2.1/32 2001:db8::1/128]" {
		t.Errorf("proxies are %v, %v", got, err)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"job": "jobs", "repaly": "replay", "metrics": "metrics", "zzzzzz": ""} {
		if got := Nearest(word, []string{"career", "jobs", "metrics", "replay"}); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("KEPT_DATA=x\n# y\nexport A='b'\n")
	f.Fuzz(func(t *testing.T, text string) {
		values, lines, err := parse(text)
		if err == nil && len(values) != len(lines) {
			t.Errorf("%d values on %d lines", len(values), len(lines))
		}
	})
}
