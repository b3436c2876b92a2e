package dashboard

import (
	"context"
	_ "embed" // the script
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed embed/kept-embed.js
var embedScript []byte

const (
	pathEmbedPanel = "/api/v1/embed/panel"
	pathEmbedAll   = "/api/v1/embed/dashboard"
	pathScript     = "/embed/kept-embed.js"
	pathEmbedding  = pathList + "/embedding"
)

func (m *Module) embedRoutes() []httpx.Route {
	from := []httpx.Param{{Name: "from", Description: "Beginning: now-6h, or a time.", Example: "now-1h"}, {Name: "to", Description: "End.", Example: "now"},
		{Name: "filter", Description: "One more filter, label=value; may be given several times. It can only narrow what the token allows.", Example: "instance=web-1"}}
	panel := append([]httpx.Param{{Name: "panel", Description: "Id of the panel; not needed where the token is for one.", Example: "cpu"},
		{Name: "width", Description: "Width of the drawing in pixels.", Schema: "integer", Example: "600"}}, from...)
	about := "For pages that embed a panel. Authorization: Bearer <token of POST /api/v1/embed/tokens>; the header Origin must be a site that the workspace allows. Variables are var-name=value."
	return []httpx.Route{
		viewing("GET", pathEmbedding, m.embeddingPage),
		{Method: "POST", Path: pathEmbedding, Handler: m.saveEmbedding, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RateWrite, Audit: "dashboard.embedding"},
		{Method: "POST", Path: pathEmbedding + "/rotate", Handler: m.rotateEmbedding, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RateWrite, Audit: "dashboard.embedding_rotate"},
		{Method: "GET", Path: pathScript, Handler: m.script, Access: httpx.Public, Rate: httpx.RateNone},
		{Method: "POST", Path: "/api/v1/embed/tokens", Handler: m.createToken, Access: httpx.APIKey, Scope: "read", Needs: httpx.MayView, Rate: httpx.RateWrite,
			NoAudit: "a token lasts an hour at most and may do less than the key; the API log has the request", API: &httpx.Operation{
				Summary: "Make a token that lets a page show panels.", Description: "Filters hold for every series that any query of the panels reads. They cannot be taken away by whoever has the token.",
				Request: tokenRequest{}, Responses: map[int]any{http.StatusCreated: tokenAnswer{}, http.StatusUnprocessableEntity: nil}}},
		{Method: "GET", Path: pathEmbedPanel, Handler: m.embedPanel, Access: httpx.Handled, Rate: httpx.RatePage, API: &httpx.Operation{
			Summary: "The numbers of an embedded panel.", Description: about, Query: panel, Responses: map[int]any{http.StatusOK: embedAnswer{}, http.StatusUnauthorized: nil}}},
		{Method: "OPTIONS", Path: pathEmbedPanel, Handler: m.embedPreflight, Access: httpx.Handled, Rate: httpx.RatePage, API: &httpx.Operation{
			Summary: "What a browser asks before it fetches a panel.", Responses: map[int]any{http.StatusNoContent: nil}}},
		{Method: "GET", Path: pathEmbedAll, Handler: m.embedDashboard, Access: httpx.Handled, Rate: httpx.RatePage, API: &httpx.Operation{
			Summary: "The panels that a token is good for.", Description: about, Responses: map[int]any{http.StatusOK: embedList{}, http.StatusUnauthorized: nil}}},
		{Method: "OPTIONS", Path: pathEmbedAll, Handler: m.embedPreflight, Access: httpx.Handled, Rate: httpx.RatePage, API: &httpx.Operation{
			Summary: "What a browser asks before it fetches the list.", Responses: map[int]any{http.StatusNoContent: nil}}},
	}
}

// tokenRequest asks for a token.
type tokenRequest struct {
	Dashboard string    `json:"dashboard"`   // id of the dashboard
	Panels    []string  `json:"panels"`      // ids of panels; none: all of the dashboard
	Filters   *[]Filter `json:"filters"`     // must be there; [] shows the panels as they are
	Origins   []string  `json:"origins"`     // some of the workspace's; none: all of them
	TTL       int       `json:"ttl_seconds"` // 300–3600; default 900
}

type tokenAnswer struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	Script    string    `json:"script"` // address of the web component
}

func (m *Module) createToken(w http.ResponseWriter, r *http.Request) error {
	var in tokenRequest
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	c, err := m.claimsOf(r.Context(), ws, in)
	if err != nil {
		return err
	}
	e, err := m.embedding(r.Context(), ws)
	if err != nil {
		return err
	}
	if e.Generation == 0 || len(e.Origins) == 0 {
		return kernel.Errorf(kernel.Conflict, "Embedding is off: allow a site first, on the page Dashboards, Embedding.")
	}
	for _, o := range c.Origins {
		if !slices.Contains(e.Origins, o) {
			return kernel.InvalidField("origins", fmt.Sprintf("%s is no site that this workspace allows.", o))
		}
	}
	c.Generation = e.Generation
	return respond.JSON(w, http.StatusCreated, tokenAnswer{Token: sign(c, e.key), ExpiresAt: time.Unix(c.Expires, 0).UTC(), Script: strings.TrimSuffix(m.baseURL(), "/") + pathScript})
}

func (m *Module) baseURL() string {
	if m.d.BaseURL == nil {
		return ""
	}
	return m.d.BaseURL()
}

// claimsOf checks a request for a token.
func (m *Module) claimsOf(ctx context.Context, ws kernel.WorkspaceID, in tokenRequest) (c claims, err error) {
	if in.Filters == nil {
		return c, kernel.InvalidField("filters", `Say which series may be seen: "filters": [{"label": "customer", "value": "acme"}]. An empty list shows the panels as they are.`)
	}
	if _, err := matchers(*in.Filters); err != nil {
		return c, err
	}
	s, err := m.find(ctx, ws, in.Dashboard)
	if err != nil {
		return c, kernel.InvalidField("dashboard", "There is no such dashboard.")
	}
	if len(in.Panels) > maxPanels {
		return c, kernel.InvalidField("panels", "Too many panels.")
	}
	for _, id := range in.Panels {
		if _, _, ok := s.D.panelNamed(id); !ok {
			return c, kernel.InvalidField("panels", fmt.Sprintf("There is no panel %s on this dashboard.", clip(id, 60)))
		}
	}
	life := time.Duration(in.TTL) * time.Second
	if in.TTL == 0 {
		life = defaultTokenLife
	}
	if life < minTokenLife || life > maxTokenLife {
		return c, kernel.InvalidField("ttl_seconds", "A token lasts from 300 to 3600 seconds.")
	}
	now := m.d.Clock()
	c = claims{Issuer: "kept", Audience: "embed", Workspace: ws, Dashboard: in.Dashboard, Panels: in.Panels, Filters: *in.Filters, IssuedAt: now.Unix(), Expires: now.Add(life).Unix()}
	for _, o := range in.Origins {
		origin, err := cleanOrigin(o)
		if err != nil {
			return c, kernel.InvalidField("origins", fmt.Sprintf("%q is no site.", clip(o, 80)))
		}
		c.Origins = append(c.Origins, origin)
	}
	return c, nil
}

// guest is a page elsewhere that shows a panel.
type guest struct {
	claims
	sub subject
}

// admit checks token and origin, and only then lets the page that asks read the answer.
func (m *Module) admit(w http.ResponseWriter, r *http.Request) (g guest, err error) {
	w.Header().Add("Vary", "Origin")
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return g, errBadToken
	}
	if g.claims, err = unverified(token); err != nil {
		return g, err
	}
	e, err := m.embedding(r.Context(), g.Workspace)
	if err != nil {
		return g, err
	}
	origin := r.Header.Get("Origin")
	if slices.Contains(e.Origins, origin) { // so that the page can read why it was refused
		allowOrigin(w.Header(), origin)
	}
	if err := verify(token, g.claims, e, m.d.Clock()); err != nil {
		return g, err
	}
	if !g.allows(origin, e) {
		return g, kernel.Errorf(kernel.Forbidden, "This site may not show panels of this workspace.")
	}
	httpx.Identify(r.Context(), httpx.Actor{WorkspaceID: g.Workspace})
	g.sub, err = m.find(r.Context(), g.Workspace, g.Dashboard)
	return g, err
}

func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// embedPreflight answers what a browser asks before it sends a token. The token is not there yet, so neither is the
// workspace: that the site is allowed is found out by the request itself.
func (m *Module) embedPreflight(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin, err := cleanOrigin(r.Header.Get("Origin")); err == nil {
		allowOrigin(h, origin)
		h.Set("Access-Control-Allow-Methods", "GET")
		h.Set("Access-Control-Allow-Headers", "Authorization")
		h.Set("Access-Control-Max-Age", "600")
	}
	return respond.NoContent(w)
}

type embedAnswer struct {
	Title string      `json:"title"`
	Kind  string      `json:"kind"`
	Unit  string      `json:"unit,omitempty"`
	Min   *float64    `json:"min,omitempty"`
	Max   *float64    `json:"max,omitempty"`
	Stack bool        `json:"stack,omitempty"`
	Text  string      `json:"text,omitempty"` // of a text panel, as it was written
	From  int64       `json:"from"`           // seconds since 1970
	To    int64       `json:"to"`
	At    []int64     `json:"at"`
	Lines []embedLine `json:"lines"`
	Table *embedTable `json:"table,omitempty"`
	Error string      `json:"error,omitempty"`
}

// embedTable is a table as it is shown.
type embedTable struct {
	Labels []string   `json:"labels"`
	Heads  []string   `json:"heads"`
	Rows   []embedRow `json:"rows"`
}

type embedRow struct {
	Label  string      `json:"label"`
	Labels []string    `json:"labels"`
	Cells  []embedCell `json:"cells"`
}

type embedCell struct {
	Text string `json:"text"`
	Tone string `json:"tone,omitempty"`
}

type embedLine struct {
	Label  string            `json:"label"`
	Unit   string            `json:"unit,omitempty"` // where it is not the panel's
	Values []*float64        `json:"values"`
	Tone   string            `json:"tone,omitempty"` // of the last value
	Last   string            `json:"last,omitempty"` // the figure, written with its unit
	Labels map[string]string `json:"labels,omitempty"`
}

// embedPanel answers the numbers of a panel for a page elsewhere.
func (m *Module) embedPanel(w http.ResponseWriter, r *http.Request) error {
	g, err := m.admit(w, r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	id := q.Get("panel")
	if id == "" && len(g.Panels) > 0 {
		id = g.Panels[0]
	}
	i, j, ok := g.sub.D.panelNamed(id)
	if !ok || !g.shows(id) {
		return kernel.Errorf(kernel.NotFound, "The token is not for such a panel.")
	}
	sc, err := m.guestScope(r.URL, g)
	if err != nil {
		return err
	}
	points, err := readPoints(q.Get("width"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), panelTimeout)
	defer cancel()
	e := m.choose(ctx, sc, g.sub.D.Variables, q)
	pic := m.draw(ctx, sc, e, g.sub.D.Rows[i].Panels[j], points)
	pic.env = e
	return respond.JSON(w, http.StatusOK, embedded(pic, sc.span))
}

// guestScope is what a page elsewhere may see: the filters of the token, and those that the page adds.
func (m *Module) guestScope(u *url.URL, g guest) (sc scope, err error) {
	sc = scope{ws: g.Workspace}
	if sc.span, err = g.sub.D.strictRange(u, m.d.Clock()); err != nil {
		return sc, err
	}
	if sc.filters, err = matchers(g.Filters); err != nil {
		return sc, err
	}
	var more []Filter
	for _, text := range u.Query()["filter"] {
		label, value, ok := strings.Cut(text, "=")
		if !ok || value == "" {
			return sc, kernel.Errorf(kernel.Malformed, "Write a filter as label=value.")
		}
		more = append(more, Filter{Label: label, Value: value})
	}
	added, err := matchers(more)
	if err != nil {
		return sc, err
	}
	sc.filters = append(sc.filters, added...)
	return sc, nil
}

// embedded is a picture for the web component. What it says of errors is short: the texts of queries stay here.
func embedded(pic picture, span ui.TimeRange) embedAnswer {
	p := pic.Panel
	out := embedAnswer{Title: pic.Title, Kind: p.Kind, Unit: p.Unit, Min: p.Min, Max: p.Max, Stack: p.Stack, Text: pic.env.text(p.Text, nil), From: span.From.Unix(), To: span.To.Unix(), At: []int64{}, Lines: []embedLine{}}
	if pic.Failed {
		out.Error = "This panel cannot be drawn right now."
	}
	if pic.Chart == nil {
		return out
	}
	for _, t := range pic.Chart.At {
		out.At = append(out.At, t.Unix())
	}
	readings := pic.Chart.Readings()
	for i, s := range pic.Chart.Series {
		l := embedLine{Label: s.Label, Unit: s.Unit, Values: make([]*float64, len(s.Values)), Last: readings[i].Value, Tone: string(readings[i].Tone)}
		for k := range s.Values {
			if v := s.Values[k]; v-v == 0 { // JSON has neither NaN nor infinity
				l.Values[k] = &v
			}
		}
		for _, label := range s.Labels {
			if l.Labels == nil {
				l.Labels = map[string]string{}
			}
			l.Labels[label.Name] = label.Value
		}
		out.Lines = append(out.Lines, l)
	}
	if p.Kind == KindTable {
		out.Table = embeddedTable(pic.Chart.Grid())
	}
	return out
}

func embeddedTable(g ui.Grid) *embedTable {
	t := &embedTable{Labels: append([]string{}, g.Labels...), Heads: append([]string{}, g.Heads...), Rows: []embedRow{}}
	for _, r := range g.Rows {
		row := embedRow{Label: r.Label, Labels: append([]string{}, r.Labels...), Cells: []embedCell{}}
		for _, c := range r.Cells {
			row.Cells = append(row.Cells, embedCell{strings.TrimSpace(c.Value + " " + c.Unit), string(c.Tone)})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

type embedList struct {
	Title  string       `json:"title"`
	Panels []embedEntry `json:"panels"`
}

type embedEntry struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Kind   string `json:"kind"`
	Width  int    `json:"width"`  // of 24
	Height int    `json:"height"` // lines of 30 pixels
	Row    string `json:"row,omitempty"`
}

// embedDashboard lists the panels that a token is good for.
func (m *Module) embedDashboard(w http.ResponseWriter, r *http.Request) error {
	g, err := m.admit(w, r)
	if err != nil {
		return err
	}
	out := embedList{Title: g.sub.D.Title, Panels: []embedEntry{}}
	for _, row := range g.sub.D.Rows {
		for _, p := range row.Panels {
			if g.shows(p.ID) {
				out.Panels = append(out.Panels, embedEntry{p.ID, p.Title, p.Kind, p.width(), p.height(), row.Title})
			}
		}
	}
	return respond.JSON(w, http.StatusOK, out)
}

// script serves the web component to pages anywhere: it holds nothing that is secret.
func (m *Module) script(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	_, _ = w.Write(embedScript) // a client that left
	return nil
}

type embeddingView struct {
	Form      ui.Form
	On        bool
	Changed   time.Time
	Count     int64
	Rotate    string
	MayManage bool
	Command   string
	Page      string
	Origins   []string
}

func embeddingForm(ws kernel.WorkspaceID, text string) ui.Form {
	return ui.Form{Action: homeHref(ws) + "/embedding", Narrow: true, Submit: "Save", Fields: []ui.Field{
		{Name: "origins", Label: "Sites that may show panels", Kind: "textarea", Value: text, Placeholder: "https://www.example.com", Mono: true, Hint: "One on each line. Without any, embedding is off."}}}
}

func (m *Module) embeddingPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	e, err := m.embedding(r.Context(), ws)
	if err != nil {
		return err
	}
	return m.renderEmbedding(w, r, http.StatusOK, ws, e, embeddingForm(ws, strings.Join(e.Origins, "\n")))
}

func (m *Module) renderEmbedding(w http.ResponseWriter, r *http.Request, status int, ws kernel.WorkspaceID, e embedding, form ui.Form) error {
	base := strings.TrimSuffix(m.baseURL(), "/")
	v := embeddingView{Form: form, On: e.Generation > 0 && len(e.Origins) > 0, Changed: e.ChangedAt, Count: e.Generation, Rotate: homeHref(ws) + "/embedding/rotate", MayManage: may(r, httpx.MayManage), Origins: e.Origins}
	dash, panel := "<id>", "<panel>"
	if q := r.URL.Query(); panelID.MatchString(q.Get("panel")) && len(q.Get("dashboard")) <= 100 {
		dash, panel = q.Get("dashboard"), q.Get("panel")
	}
	v.Command = fmt.Sprintf("curl -X POST %s/api/v1/embed/tokens -H 'Authorization: Bearer <API key>' -H 'Content-Type: application/json' \\\n  -d '{\"dashboard\": %q, \"panels\": [%q], \"filters\": [{\"label\": \"customer\", \"value\": \"acme\"}], \"ttl_seconds\": 900}'", base, dash, panel)
	v.Page = fmt.Sprintf("<script type=\"module\" src=\"%s%s\"></script>\n<kept-panel src=\"%s\" panel=%q token-src=\"/my-page-that-answers-a-token\"></kept-panel>", base, pathScript, base, panel)
	page := ui.Page{Title: "Embedding", App: appKey, Section: homeHref(ws), Body: v, Crumbs: []ui.Crumb{{Label: "Dashboards", Href: homeHref(ws)}},
		Lead: "Show panels on your own pages, each visitor with his own filters. Your server asks for a token; the visitor's browser can narrow what it shows, never widen it."}
	switch r.URL.Query().Get("done") {
	case "saved":
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "Saved."}}
	case "rotated":
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "There is a new key. Tokens that were given out before are worthless."}}
	}
	return m.pages.Render(w, r, status, "embedding", page)
}

func (m *Module) saveEmbedding(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	origins, err := readOrigins(form.Get("origins"))
	if err != nil {
		refused, err := again(embeddingForm(ws, form.Get("origins")), err)
		if err != nil {
			return err
		}
		e, err := m.embedding(r.Context(), ws)
		if err != nil {
			return err
		}
		return m.renderEmbedding(w, r, http.StatusUnprocessableEntity, ws, e, refused)
	}
	if err := m.setOrigins(r.Context(), ws, origins); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.embedding", "", strings.Join(origins, " ")); err != nil {
		return err
	}
	return respond.SeeOther(w, r, homeHref(ws)+"/embedding?done=saved")
}

func (m *Module) rotateEmbedding(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	if err := m.rotateKey(r.Context(), ws); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), "dashboard.embedding_rotate", "", ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, homeHref(ws)+"/embedding?done=rotated")
}
