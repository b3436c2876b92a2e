package metrics

import (
	"fmt"
	"net/http"

	"github.com/kept-dev/kept/internal/apps/metrics/agents"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/ui"
)

// connectView says how a host gets here.
type connectView struct {
	Action     string         // where the token is made
	May        bool           // the reader may make one
	Command    string         // with the token; empty before it is made
	Builds     []agents.Build // of the agent, that this server hands out
	Install    string         // how to install it by hand
	KeysHref   string
	HostsHref  string
	Live       *ui.Live
	Arrived    []hostRow // hosts that were first seen lately
	Prometheus string
	OTLP       string
	Deploy     string
}

// keyPlaceholder stands where the reader puts a key of his own.
const keyPlaceholder = "YOUR_API_KEY"

func (m *Module) connectView(r *http.Request) (*connectView, error) {
	a := httpx.ActorOf(r.Context())
	base, ws := m.d.BaseURL(), a.WorkspaceID
	v := &connectView{Action: connectHref(ws), HostsHref: hostsHref(ws), KeysHref: "/w/" + string(ws) + "/settings/api-keys",
		May:     workspace.Allows(a.Role, httpx.MayManage),
		Live:    &ui.Live{Src: hostsHref(ws) + "/live", Target: "arrived"},
		Install: `CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' ./cmd/kept-agent && sudo install kept-agent /usr/local/bin/`,
		Prometheus: fmt.Sprintf(`# prometheus.yml
remote_write:
  - url: %s/prometheus/api/v1/write
    protobuf_message: io.prometheus.write.v2.Request # Prometheus 3; leave it out before
    authorization:
      credentials: %s`, base, keyPlaceholder),
		OTLP: fmt.Sprintf(`export OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=%s/v1/metrics
export OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer %s"`, base, keyPlaceholder),
		Deploy: fmt.Sprintf(`curl -sS %s/api/v1/deploys \
  -H "Authorization: Bearer %s" -H "Content-Type: application/json" \
  -d '{"service":"shop","version":"1.4.2","environment":"production"}'`, base, keyPlaceholder),
	}
	var err error
	if v.Builds, err = m.agents.List(); err != nil {
		return nil, err
	}
	v.Arrived, err = m.arrived(r, ws)
	return v, err
}

// arrived are hosts that were first seen within the life of a token.
func (m *Module) arrived(r *http.Request, ws kernel.WorkspaceID) (out []hostRow, err error) {
	hosts, err := m.Hosts(r.Context(), ws)
	now := m.d.Clock()
	for _, h := range hosts {
		if now.Sub(h.FirstSeen) < tokenLife {
			out = append(out, hostRow{Host: h, vitals: unknown(), Href: hostHref(ws, h.ID), now: now})
		}
	}
	return out, err
}

func (m *Module) connectPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.connectView(r)
	if err != nil {
		return err
	}
	return m.renderConnect(w, r, v)
}

func (m *Module) renderConnect(w http.ResponseWriter, r *http.Request, v *connectView) error {
	return m.pages.Render(w, r, http.StatusOK, "connect", ui.Page{Title: "Connect a host", App: appKey, Section: v.HostsHref,
		Crumbs: []ui.Crumb{{Label: "Hosts", Href: v.HostsHref}}, Lead: "With our agent, or with what you have.", Body: v})
}

// makeToken shows the command with a token in it, which is shown nowhere else.
func (m *Module) makeToken(w http.ResponseWriter, r *http.Request) error {
	by, ws := actorOf(r)
	_, token, err := m.NewToken(r.Context(), by, ws)
	if err != nil {
		return err
	}
	v, err := m.connectView(r)
	if err != nil {
		return err
	}
	v.Command = "sudo kept-agent enrol " + m.d.BaseURL() + " " + token
	if len(v.Builds) > 0 {
		v.Command = "curl -fsSL " + m.d.BaseURL() + pathInstall + " | sudo sh -s -- " + token
	}
	return m.renderConnect(w, r, v)
}
