// Package agentapi is what kept-agent and the server say to each other besides samples: how a host enrols, and what it
// tells about itself. Both are JSON over HTTPS. Samples go by remote write 2.0 to PathWrite, with the key that enrolment
// gave.
//
// The agent says hello when it starts and then every HelloEvery. An unknown field is an error in requests and ignored in
// answers, so a new agent that talks to an old server must leave out what the old one does not know: it sends the same
// fields as long as Host has them.
package agentapi

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Where the server listens.
const (
	PathEnrol = "/api/v1/agent/enrol"       // POST EnrolRequest, no key: EnrolResponse
	PathHello = "/api/v1/agent/hello"       // POST Hello with the key as bearer token: HelloResponse
	PathWrite = "/prometheus/api/v1/write"  // samples
	PathRenew = "/api/v1/agent/certificate" // POST RenewRequest, with the present client certificate: RenewResponse
)

// CertificateName is the common name of the client certificates that agents make for themselves. Where TLS ends at the
// server, an agent that shows one when it enrols gets no key: from then on its certificate says who it is. The certificate
// is signed by its own key, and the server remembers the key. It counts until the time that the server says, and the agent
// renews it when RenewAfter has passed.
const (
	CertificateName = "kept-agent"
	RenewAfter      = 10 * 24 * time.Hour
)

// RenewRequest adds another certificate to the one that the request was made with. It is in use from the first hello that
// is said with it on, and then the one before ends.
type RenewRequest struct {
	Certificate []byte `json:"certificate"` // DER, signed by its own key: ECDSA P-256 or P-384, or Ed25519
}

// RenewResponse says until when it counts.
type RenewResponse struct {
	Until int64 `json:"until"` // seconds since 1970
}

// HelloEvery is how often an agent says hello; it does so with the first samples too.
const HelloEvery = 5 * time.Minute

// MaxBody is how many bytes a request may have.
const MaxBody = 64 << 10

// EnrolRequest exchanges a one-time token for a key. A token works once and for an hour. 401: the token is wrong, used or
// too old; 422: Host says something that cannot be.
type EnrolRequest struct {
	Token string `json:"token"`
	Host  Host   `json:"host"`
}

// EnrolResponse has what the agent keeps: in a file that only it can read.
type EnrolResponse struct {
	Key           string `json:"key"`                         // an API key of the scope ingest; empty where the certificate stands for it
	Until         int64  `json:"certificate_until,omitempty"` // until when the certificate counts that the request was made with, in seconds since 1970
	Workspace     string `json:"workspace"`
	WorkspaceName string `json:"workspace_name"`
	Page          string `json:"page"` // where people find the host
}

// Hello tells that the agent lives. 401: its key was revoked.
type Hello struct {
	Host Host `json:"host"`
	// Now is the host's time in milliseconds since 1970, when the request was made.
	Now int64 `json:"now"`
	// Buffered is how many seconds of samples wait on the host's disk to be sent.
	Buffered int64 `json:"buffered,omitempty"`
}

// HelloResponse is the server's answer.
type HelloResponse struct {
	Now   int64  `json:"now"`   // the server's time in milliseconds since 1970
	Agent string `json:"agent"` // the version that belongs to this server; an agent of another one says so in its log
}

// Host is what an agent knows about the machine that it runs on.
type Host struct {
	// ID stays the same when the host is renamed: a hash of /etc/machine-id with a salt of the agent's, in hex. It says
	// nothing about the machine and cannot be turned back.
	ID string `json:"id"`
	// Instance is the label "instance" of all series of this agent: by default the host's name.
	Instance string `json:"instance"`
	Name     string `json:"name"`     // the host's name
	OS       string `json:"os"`       // "linux", "darwin", "windows"
	Platform string `json:"platform"` // "Debian GNU/Linux 13 (trixie)"
	Kernel   string `json:"kernel"`   // "6.12.43"
	Arch     string `json:"arch"`     // "amd64"
	Cores    int    `json:"cores"`
	Memory   int64  `json:"memory"`    // bytes
	BootTime int64  `json:"boot_time"` // seconds since 1970
	Agent    string `json:"agent"`     // version of the agent
	Interval int    `json:"interval"`  // seconds between samples
	// Labels are those that the agent's configuration adds to all series.
	Labels map[string]string `json:"labels,omitempty"`
}

// Names of series that are the agent's own, where node_exporter, cAdvisor and blackbox_exporter have none. All have the
// label "instance".
const (
	MetricInfo      = "kept_agent_info"               // {version}: 1
	MetricClockSkew = "kept_agent_clock_skew_seconds" // how far the host's clock is ahead of the server's
	// The processes that use most, one series for all that have the same name. They have the label "process" (the name of
	// the executable; never its arguments).
	MetricProcessCPU    = "kept_process_cpu_ratio"             // cores in use: 1 is one core
	MetricProcessMemory = "kept_process_resident_memory_bytes" // of all of them together
	MetricProcessCount  = "kept_process_count"                 // how many processes have the name
)

// Names that the agent takes from other exporters. Containers have the label "name", probes "probe" and "target", units
// "name" and "state".
const (
	MetricContainerCPU    = "container_cpu_usage_seconds_total"
	MetricContainerMemory = "container_memory_working_set_bytes"
	MetricProbeSuccess    = "probe_success"
	MetricProbeDuration   = "probe_duration_seconds"
	MetricProbeCertExpiry = "probe_ssl_earliest_cert_expiry"
	MetricUnitState       = "node_systemd_unit_state"
)

// Limits of Host.
const (
	maxText   = 200
	maxLabels = 30
)

// Check says what is wrong with a host's description, naming the field.
func (h *Host) Check() error {
	if len(h.ID) < 8 || len(h.ID) > 64 || strings.Trim(h.ID, "0123456789abcdef") != "" {
		return errors.New("id must be 8 to 64 hexadecimal digits")
	}
	for field, s := range map[string]string{"instance": h.Instance, "name": h.Name} {
		if s == "" {
			return fmt.Errorf("%s is missing", field)
		}
	}
	for _, s := range []string{h.Instance, h.Name, h.OS, h.Platform, h.Kernel, h.Arch, h.Agent} {
		if err := checkText(s); err != nil {
			return err
		}
	}
	if h.Cores < 0 || h.Memory < 0 || h.BootTime < 0 || h.Interval < 0 || h.Cores > 1<<20 {
		return errors.New("numbers must not be negative")
	}
	return h.checkLabels()
}

func (h *Host) checkLabels() error {
	if len(h.Labels) > maxLabels {
		return fmt.Errorf("there may be %d labels", maxLabels)
	}
	for name, value := range h.Labels {
		if name == "" {
			return errors.New("a label has no name")
		}
		if err := errors.Join(checkText(name), checkText(value)); err != nil {
			return err
		}
	}
	return nil
}

func checkText(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("a text is over %d bytes", maxText)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("a text has bytes that are not printable UTF-8")
	}
	return nil
}
