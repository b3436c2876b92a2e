package alert

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// parseSpan reads a time span as Prometheus writes it: 30s, 1h30m, 7d.
func parseSpan(s string) (time.Duration, error) {
	d, err := model.ParseDuration(strings.ReplaceAll(s, " ", ""))
	return time.Duration(d), err
}

// quietForm is the form of a silence or a window, with what it would mute.
type quietForm struct {
	Action, Test, Cancel string
	Hidden               []ui.Param
	Fields               []ui.Field
	Error                string
	Tried                bool
	Alerts               []alertRow // that it would mute now
	Next                 []Span     // of a window
	Zone                 *time.Location
	Submit, See          string
	Danger, DangerWord   string // where it is ended or deleted
}

// Invalid lists the fields with an error, for the summary above the form.
func (f quietForm) Invalid() []ui.Field { return ui.Form{Fields: f.Fields}.Invalid() }

// InZone writes an occurrence in the window's own time.
func (f quietForm) InZone(t time.Time) string { return t.In(f.Zone).Format("Mon 2 Jan 2006 15:04 MST") }

// wouldMute lists the open alerts that matchers fit.
func (m *Module) wouldMute(r *http.Request, ws kernel.WorkspaceID, list []Matcher, all bool) (out []alertRow, err error) {
	open, err := m.openAlerts(r.Context(), ws)
	for _, a := range open {
		if matches(list, a.Labels) || all && len(list) == 0 {
			out = append(out, newRow(ws, a, nil))
		}
	}
	return out, err
}

const localTime = "2006-01-02T15:04"

type silenceRow struct {
	Silence
	Now    string // pending, active, expired
	Mutes  int    // alerts that it mutes now
	Href   string // where it is changed
	Expire string
	Again  string // where the same can be made again
}

type silencesView struct {
	Active  []silenceRow
	Expired []silenceRow
	Empty   *ui.Empty
	May     bool
}

func (m *Module) silencesPage(w http.ResponseWriter, r *http.Request) error {
	ctx, ws, now := r.Context(), wsOf(r), m.d.Clock()
	list, err := m.Silences(ctx, ws, now.Add(-muteKept))
	if err != nil {
		return err
	}
	open, err := m.openAlerts(ctx, ws)
	if err != nil {
		return err
	}
	v := silencesView{May: mayChange(r)}
	for _, s := range list {
		row := silenceRow{Silence: s, Now: s.State(now), Href: silenceHref(ws, s.ID), Expire: silenceHref(ws, s.ID) + "/expire", Again: home(ws) + "/silences/new?from=" + string(s.ID)}
		for _, a := range open {
			if a.State == Firing && matches(s.Matchers, a.Labels) {
				row.Mutes++
			}
		}
		if row.Now == "expired" {
			v.Expired = append(v.Expired, row)
		} else {
			v.Active = append(v.Active, row)
		}
	}
	if len(v.Active) == 0 {
		v.Empty = &ui.Empty{Icon: "minus", Title: "Nothing is silenced", Text: "Silence an alert that you know of, for as long as you work on it. It still shows, but sends no messages."}
		if v.May {
			v.Empty.Action = &ui.Action{Label: "New silence", Href: home(ws) + "/silences/new", Primary: true}
		}
	}
	page := ui.Page{Title: "Silences", App: appKey, Section: home(ws) + "/silences", Body: v, Lead: "What sends no messages for a while. The alerts still show.",
		Toasts: toast(r, map[string]string{"saved": "The silence is saved.", "expired": "The silence is over."})}
	if v.May && len(v.Active) > 0 {
		page.Actions = []ui.Action{{Label: "New silence", Href: home(ws) + "/silences/new", Icon: "plus", Primary: true}}
	}
	return m.pages.Render(w, r, http.StatusOK, "silences", page)
}

func silenceHref(ws kernel.WorkspaceID, id kernel.ID) string {
	return home(ws) + "/silences/" + string(id)
}

// silenceInput is the form of a silence as it was typed.
type silenceInput struct {
	matchers, comment, starts, lasts, ends string
}

// untilMoment is the choice of a silence that ends at a moment of one's own.
const untilMoment = "until"

var silenceLasts = []ui.Option{{Value: "30m", Label: "30 minutes"}, {Value: "1h", Label: "1 hour"}, {Value: "4h", Label: "4 hours"}, {Value: "1d", Label: "1 day"},
	{Value: "3d", Label: "3 days"}, {Value: "1w", Label: "1 week"}, {Value: "30d", Label: "30 days"}, {Value: untilMoment, Label: "Until a moment"}}

func inputOf(s Silence) silenceInput {
	return silenceInput{WriteMatchers(s.Matchers), s.Comment, s.From.UTC().Format(localTime), untilMoment, s.Until.UTC().Format(localTime)}
}

// newSilencePage is the form, filled in from an alert, or from another silence, if one is named.
func (m *Module) newSilencePage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := silenceInput{matchers: q.Get("matchers"), lasts: "4h"}
	if id := q.Get("from"); kernel.ValidID(id) {
		s, err := m.FindSilence(r.Context(), wsOf(r), kernel.ID(id))
		if err != nil {
			return err
		}
		in.matchers, in.comment = WriteMatchers(s.Matchers), s.Comment
	}
	if id := q.Get("alert"); kernel.ValidID(id) {
		a, err := m.FindAlert(r.Context(), wsOf(r), kernel.ID(id))
		if err != nil {
			return err
		}
		var list []Matcher
		for _, p := range pairs(a.Labels) {
			list = append(list, Matcher{p.Name, "=", p.Value})
		}
		in.matchers = WriteMatchers(list)
	}
	return m.renderSilence(w, r, nil, in, in.matchers != "", nil)
}

func (m *Module) editSilencePage(w http.ResponseWriter, r *http.Request) error {
	s, err := m.pathSilence(r)
	if err != nil {
		return err
	}
	if s.State(m.d.Clock()) == "expired" {
		return respond.SeeOther(w, r, home(wsOf(r))+"/silences/new?from="+string(s.ID))
	}
	return m.renderSilence(w, r, &s, inputOf(s), true, nil)
}

func (m *Module) pathSilence(r *http.Request) (Silence, error) {
	id, err := pathID(r)
	if err != nil {
		return Silence{}, err
	}
	return m.FindSilence(r.Context(), wsOf(r), id)
}

// renderSilence shows the form. old is the silence that is changed; nil: a new one.
func (m *Module) renderSilence(w http.ResponseWriter, r *http.Request, old *Silence, in silenceInput, try bool, wrong error) error {
	status, e, err := formStatus(wrong)
	if err != nil {
		return err
	}
	ws := wsOf(r)
	list, parse := ReadMatchers(in.matchers)
	v := quietForm{Action: home(ws) + "/silences", Test: home(ws) + "/silences/test", Cancel: home(ws) + "/silences", Submit: "Silence", See: "See what it mutes", Fields: []ui.Field{
		{Name: "matchers", Label: "Alerts with", Kind: "textarea", Rows: 4, Mono: true, Required: true, Value: in.matchers, Placeholder: "alertname=\"DiskFull\"\ninstance=~\"web.*\"",
			Hint: "One label per line: = and != compare, =~ and !~ take a regular expression. All must fit."},
		{Name: "starts", Label: "Begins (UTC)", Kind: "datetime-local", Value: in.starts, Hint: "Empty: at once."},
		{Name: "lasts", Label: "For", Kind: "select", Required: true, Value: in.lasts, Options: silenceLasts, Hint: "From the beginning, or from now if it has begun."},
		{Name: "ends", Label: "Ends (UTC)", Kind: "datetime-local", Value: in.ends, Hint: "Only for “Until a moment”."},
		{Name: "comment", Label: "Why", Value: in.comment, MaxLength: maxNote, Placeholder: "The disk is on order"},
	}}
	title := "New silence"
	if old != nil {
		title, v.Submit, v.Action = "Edit silence", "Save", silenceHref(ws, old.ID)
		v.Hidden = []ui.Param{{Name: "id", Value: string(old.ID)}}
		v.Danger, v.DangerWord = v.Action+"/expire", "End it now"
	}
	v.Fields, v.Error = withNotes(v.Fields, e)
	if try && parse == nil && e == nil {
		v.Tried = true
		if v.Alerts, err = m.wouldMute(r, ws, list, false); err != nil {
			return err
		}
	}
	return m.pages.Render(w, r, status, "quiet", ui.Page{Title: title, App: appKey, Section: v.Cancel, Crumbs: []ui.Crumb{{Label: "Silences", Href: v.Cancel}}, Body: v})
}

// silence is what was typed, as a silence. old is the one that is changed.
func (in silenceInput) silence(now time.Time, old *Silence) (s Silence, err error) {
	s.Comment, s.From = in.comment, now
	if old != nil {
		s.ID = old.ID
	}
	if s.Matchers, err = ReadMatchers(in.matchers); err != nil {
		return s, err
	}
	if in.starts != "" {
		if s.From, err = time.Parse(localTime, in.starts); err != nil {
			return s, kernel.InvalidField("starts", "Write a date and a time.")
		}
		if old != nil && s.From.Equal(old.From.Truncate(time.Minute)) {
			s.From = old.From // the form has no seconds
		}
	}
	if old == nil && s.From.Before(now) {
		s.From = now // nothing is silenced in the past
	}
	if in.lasts == untilMoment {
		if s.Until, err = time.Parse(localTime, in.ends); err != nil {
			return s, kernel.InvalidField("ends", "Write a date and a time.")
		}
		if err := checkSilence(s, now); err != nil {
			return s, atField(err, "until", "ends")
		}
		return s, nil
	}
	lasts, err := parseSpan(in.lasts)
	if err != nil {
		return s, kernel.InvalidField("lasts", "Choose for how long.")
	}
	s.Until = later(s.From, now).Add(lasts)
	return s, atField(checkSilence(s, now), "until", "lasts")
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// atField moves a note to the field that the form has for it.
func atField(err error, from, to string) error {
	if e := kernel.AsError(err); err != nil && e.Fields[from] != "" {
		return kernel.InvalidField(to, e.Fields[from])
	}
	return err
}

func readSilence(r *http.Request) (in silenceInput, id kernel.ID, err error) {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return in, "", err
	}
	in = silenceInput{form.Get("matchers"), strings.TrimSpace(form.Get("comment")), form.Get("starts"), form.Get("lasts"), form.Get("ends")}
	if v := form.Get("id"); kernel.ValidID(v) {
		id = kernel.ID(v)
	}
	return in, id, nil
}

func (m *Module) testSilence(w http.ResponseWriter, r *http.Request) error {
	in, id, err := readSilence(r)
	if err != nil {
		return err
	}
	var old *Silence
	if id != "" {
		s, err := m.FindSilence(r.Context(), wsOf(r), id)
		if err != nil {
			return err
		}
		old = &s
	}
	_, err = in.silence(m.d.Clock(), old)
	return m.renderSilence(w, r, old, in, true, err)
}

func (m *Module) createSilence(w http.ResponseWriter, r *http.Request) error {
	return m.saveSilencePost(w, r, nil, "silence.create")
}

func (m *Module) updateSilence(w http.ResponseWriter, r *http.Request) error {
	s, err := m.pathSilence(r)
	if err != nil {
		return err
	}
	return m.saveSilencePost(w, r, &s, "silence.update")
}

func (m *Module) saveSilencePost(w http.ResponseWriter, r *http.Request, old *Silence, action string) error {
	in, _, err := readSilence(r)
	if err != nil {
		return err
	}
	s, err := in.silence(m.d.Clock(), old)
	if err == nil {
		s, err = m.SaveSilence(r.Context(), wsOf(r), s)
	}
	if err != nil {
		return m.renderSilence(w, r, old, in, false, err)
	}
	if err := m.d.Audit(r.Context(), action, "silence:"+string(s.ID), ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/silences?done=saved")
}

func (m *Module) expireSilencePost(w http.ResponseWriter, r *http.Request) error {
	return m.flipRule(w, r, "silence.expire", m.ExpireSilence, func(ws kernel.WorkspaceID, _ kernel.ID) string { return home(ws) + "/silences?done=expired" })
}
