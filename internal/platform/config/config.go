// Package config holds what an operator may set: one typed value, read from flags, the environment and a file, checked
// with messages that say what to do, and quiet about secrets when it is printed. Commands embed Config; it knows nothing
// of what the settings do.
package config

import (
	"encoding/json"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Config is what the commands that open the data have in common. The tags are kong's: a flag --like-this is
// KEPT_LIKE_THIS in the environment and in the file.
type Config struct {
	Data     string   `help:"Directory of everything that Kept stores; made when it is absent." default:"data" placeholder:"DIR"`
	Database Secret   `help:"PostgreSQL to use in place of SQLite, as postgres://user:password@host/name." secret:"true" placeholder:"URL"`
	Apps     []string `help:"Apps that are on, separated by commas; all of them if not given." placeholder:"APP"`

	Addr         string   `help:"Address to listen on; port 0 takes a free one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	BaseURL      string   `help:"How people reach the server, for links in mail; needed behind a proxy." placeholder:"URL"`
	TrustedProxy []string `help:"Addresses or networks of proxies whose X-Forwarded-For and -Proto are believed." placeholder:"CIDR"`
	TLSCert      string   `name:"tls-cert" help:"Certificate chain (PEM), to serve TLS without a proxy." placeholder:"FILE"`
	TLSKey       string   `name:"tls-key" help:"Private key (PEM) of the certificate." placeholder:"FILE"`

	SMTPHost     string `name:"smtp-host" help:"Mail server; without one no mail is sent." placeholder:"HOST"`
	SMTPPort     int    `name:"smtp-port" help:"Its port." default:"587" placeholder:"PORT"`
	SMTPTLS      string `name:"smtp-tls" help:"How the connection is encrypted: starttls, tls (from the start, often port 465) or none." default:"starttls" placeholder:"MODE"`
	SMTPUsername string `name:"smtp-username" help:"User name, if the server wants one." placeholder:"NAME"`
	SMTPPassword Secret `name:"smtp-password" help:"Password of that user." secret:"true" placeholder:"PASSWORD"`
	SMTPFrom     string `name:"smtp-from" help:"Sender of Kept's mail, whichever way it leaves." placeholder:"ADDRESS"`

	MailgunDomain     string `name:"mailgun-domain" help:"Sending domain at Mailgun, to send through it in place of a mail server." placeholder:"DOMAIN"`
	MailgunKey        Secret `name:"mailgun-key" help:"API key that may send for the domain." secret:"true" placeholder:"KEY"`
	MailgunRegion     string `name:"mailgun-region" help:"Where the domain lives: us or eu." default:"us" placeholder:"REGION"`
	MailgunSigningKey Secret `name:"mailgun-signing-key" help:"HTTP webhook signing key: believe reports that Mailgun posts to /hooks/mail/mailgun." secret:"true" placeholder:"KEY"`

	SESRegion    string `name:"ses-region" help:"AWS region, to send through Amazon SES in place of a mail server." placeholder:"REGION"`
	SESAccessKey string `name:"ses-access-key" help:"Access key that may ses:SendEmail." placeholder:"ID"`
	SESSecretKey Secret `name:"ses-secret-key" help:"Secret of that key." secret:"true" placeholder:"SECRET"`
	SESTopic     string `name:"ses-topic" help:"SNS topic of bounces and complaints: believe what it posts to /hooks/mail/ses." placeholder:"ARN"`

	OIDCProviders string `name:"oidc-providers" help:"File (JSON list) of providers that people may sign in with: key, preset (google, github, microsoft, gitlab, oidc), label, issuer, client_id, client_secret or client_secret_file, scopes, hosts." placeholder:"FILE"`

	InstanceKey Secret `help:"Key that wraps all other keys, 32 bytes in base64; without it a file in the data directory is used." secret:"true" placeholder:"KEY"`

	Operator string `help:"Who runs this server, name and address, for the data processing agreement." placeholder:"NAME"`

	StatusWorkspace string `name:"status-workspace" help:"Workspace whose status page speaks for this server: its notices are shown to whoever is signed in and mailed to the owners of all workspaces. Its id stands in the address of its pages, behind /w/." placeholder:"ID"`

	JobsDays      int           `help:"Days that job events are kept; 0 keeps them for ever." default:"0" placeholder:"DAYS"`
	MetricsDays   int           `help:"Days that metrics are kept; 0 keeps them for ever." default:"365" placeholder:"DAYS"`
	MetricsSeries int64         `help:"Active series that a workspace may have; 0 is no limit." default:"0" placeholder:"COUNT"`
	MetricsRate   int64         `help:"Samples a second that a workspace may send, on average over a minute; 0 is no limit." default:"0" placeholder:"COUNT"`
	MetricsHosts  int64         `help:"Hosts that a workspace may have enrolled; 0 is no limit." default:"10000" placeholder:"COUNT"`
	SeriesURL     Secret        `name:"series-url" help:"Keep metrics in a Prometheus-compatible cluster in place of the data directory: the address below which it has /api/v1/query and /api/v1/write (or /api/v1/push)." secret:"true" placeholder:"URL"`
	Dashboards    string        `help:"Directory of dashboards as JSON files, ours or Grafana's; they are shown read-only and read again when they change." placeholder:"DIR"`
	Agents        string        `help:"Directory of builds of kept-agent to hand out to hosts, as make agents leaves them; without it the directory agents beside this program." placeholder:"DIR"`
	AllowPrivate  bool          `help:"Let webhooks and channels reach private addresses and this machine."`
	AccessLogDays int           `help:"Days that the request log is kept (90 to 365)." default:"90" placeholder:"DAYS"`
	LogFormat     string        `help:"Form of the server's log: text or json." default:"text" placeholder:"FORM"`
	LogLevel      string        `help:"Least level that is logged: debug, info, warn or error." default:"info" placeholder:"LEVEL"`
	ShutdownGrace time.Duration `help:"How long requests that are being answered may take after the server was told to stop." default:"20s" placeholder:"TIME"`
}

// Secret is a setting that is never printed. Text makes a copy that is.
type Secret string

const hidden = "[hidden]"

// Text is the secret itself.
func (s Secret) Text() string { return string(s) }

// String hides the secret; an empty one is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format hides the secret whatever the verb, %#v and %x included.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Proxies are the networks of TrustedProxy; a bare address is a network of one.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range c.TrustedProxy {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil {
				return nil, invalid("trusted-proxy", "%q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// Secure tells whether people reach the server over TLS, its own or a proxy's.
func (c *Config) Secure() bool {
	return c.TLSCert != "" || strings.HasPrefix(c.BaseURL, "https://")
}

// AgentBuilds is the directory of builds of kept-agent, which need not be there.
func (c *Config) AgentBuilds() string {
	if c.Agents != "" {
		return c.Agents
	}
	program, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(program), "agents")
}

// Validate checks everything that can be checked without opening anything.
func (c *Config) Validate() error {
	for _, check := range []func() error{c.checkPlaces, c.checkBaseURL, c.checkTLS, c.checkMail, c.checkLogs, c.checkStatus} {
		if err := check(); err != nil {
			return err
		}
	}
	if _, err := c.SignInProviders(); err != nil {
		return err
	}
	_, err := c.Proxies()
	return err
}

func (c *Config) checkPlaces() error {
	if c.Data == "" {
		return invalid("data", "name a directory, for example --data /var/lib/kept")
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return invalid("addr", "%q is not HOST:PORT, for example 127.0.0.1:8080 or :8080", c.Addr)
	}
	if d := c.Database.Text(); d != "" && !strings.HasPrefix(d, "postgres://") && !strings.HasPrefix(d, "postgresql://") {
		return invalid("database", "it must begin with postgres://; leave it out for SQLite")
	}
	return nil
}

func (c *Config) checkBaseURL() error {
	if c.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return invalid("base-url", "%q is not an address such as https://kept.example.com", c.BaseURL)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return invalid("base-url", "Kept is served from the root of a host: leave out %q", strings.TrimPrefix(c.BaseURL, u.Scheme+"://"+u.Host))
	}
	return nil
}

func (c *Config) checkTLS() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return invalid("tls-cert", "give both --tls-cert and --tls-key, or neither")
	}
	for _, file := range []string{c.TLSCert, c.TLSKey} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return invalid("tls-cert", "%v", err)
		}
	}
	return nil
}

func (c *Config) checkStatus() error {
	if c.StatusWorkspace != "" && !kernel.ValidID(c.StatusWorkspace) {
		return invalid("status-workspace", "%q is not the id of a workspace; it stands in the address of the workspace's pages, behind /w/", c.StatusWorkspace)
	}
	return nil
}

func (c *Config) checkMail() error {
	if !oneOf(c.SMTPTLS, "starttls", "tls", "none") {
		return invalid("smtp-tls", "it is %q; use starttls, tls or none", c.SMTPTLS)
	}
	if c.SMTPPort < 1 || c.SMTPPort > 65535 {
		return invalid("smtp-port", "%d is not a port", c.SMTPPort)
	}
	var ways []string
	for _, way := range [][2]string{{"smtp-host", c.SMTPHost}, {"mailgun-domain", c.MailgunDomain}, {"ses-region", c.SESRegion}} {
		if way[1] != "" {
			ways = append(ways, way[0])
		}
	}
	switch len(ways) {
	case 0:
		return nil
	case 1:
	default:
		return invalid(ways[1], "mail leaves one way only: leave out this or --%s", ways[0])
	}
	if _, err := mail.ParseAddress(c.SMTPFrom); err != nil {
		return invalid("smtp-from", "with --%s, name the sender as well, for example \"Kept <kept@example.com>\"", ways[0])
	}
	return c.checkProviders()
}

var (
	awsRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
	snsTopic  = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
)

func (c *Config) checkProviders() error {
	switch {
	case c.MailgunDomain != "" && c.MailgunKey == "":
		return invalid("mailgun-key", "with --mailgun-domain, give an API key as well")
	case c.MailgunDomain != "" && !oneOf(c.MailgunRegion, "us", "eu"):
		return invalid("mailgun-region", "it is %q; use us or eu", c.MailgunRegion)
	case c.SESRegion != "" && !awsRegion.MatchString(c.SESRegion):
		return invalid("ses-region", "%q is not a region such as eu-central-1", c.SESRegion)
	case c.SESRegion != "" && (c.SESAccessKey == "" || c.SESSecretKey == ""):
		return invalid("ses-access-key", "with --ses-region, give an access key and --ses-secret-key")
	case c.SESTopic != "" && !snsTopic.MatchString(c.SESTopic):
		return invalid("ses-topic", "%q is not the ARN of an SNS topic", c.SESTopic)
	}
	return nil
}

// SendsMail tells whether there is a way for mail to leave.
func (c *Config) SendsMail() bool {
	return c.SMTPHost != "" || c.MailgunDomain != "" || c.SESRegion != ""
}

func (c *Config) checkLogs() error {
	switch {
	case !oneOf(c.LogFormat, "text", "json"):
		return invalid("log-format", "it is %q; use text or json", c.LogFormat)
	case !oneOf(c.LogLevel, "debug", "info", "warn", "error"):
		return invalid("log-level", "it is %q; use debug, info, warn or error", c.LogLevel)
	case c.AccessLogDays < 90 || c.AccessLogDays > 365:
		return invalid("access-log-days", "it is %d; the promise about server logs (RET-7) allows 90 to 365", c.AccessLogDays)
	case c.JobsDays < 0:
		return invalid("jobs-days", "it is negative; use 0 to keep job events for ever")
	case c.ShutdownGrace < 0:
		return invalid("shutdown-grace", "it is negative")
	}
	return nil
}

func oneOf(s string, list ...string) bool {
	for _, v := range list {
		if s == v {
			return true
		}
	}
	return false
}

func invalid(flag, format string, args ...any) error {
	return fmt.Errorf("--%s (%s): %s", flag, Key(flag), fmt.Sprintf(format, args...))
}
