package jobs

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/redact"
)

// settingsView is the page on which an owner says what is kept of job data, and members see what is.
type settingsView struct {
	Form     *ui.Form // for owners
	Terms    []ui.Term
	Examples []settingsExample
	Always   []string // keys whose values are never kept
}

// settingsExample is what one policy would store of the sample.
type settingsExample struct {
	Label   string
	Current bool
	JSON    []byte
}

var policies = []struct {
	Policy redact.Policy
	Label  string
	Hint   string
}{
	{redact.Full, "In full", "Payloads and results can be read and searched. Secrets are taken out."},
	{redact.KeysOnly, "Keys only", "Names of fields stay; each value is replaced by its type."},
	{redact.None, "Not at all", "Nothing of payloads and results is stored."},
}

func policyLabel(p redact.Policy) string {
	for _, known := range policies {
		if known.Policy == p {
			return known.Label
		}
	}
	return string(p)
}

// sample is a payload such as workers send, with something for every rule.
const sample = `{"order":"ORD-2026-00041","cents":25180,"customer":{"id":9007199254740993,"name":"山田 太郎","email":"taro.yamada@example.com"},"note":"card 4242 4242 4242 4242","api_key":"sk_live_51HG7"}`

func (m *Module) settingsPage(w http.ResponseWriter, r *http.Request) error {
	s, err := m.ReadSettings(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID)
	if err != nil {
		return err
	}
	page := ui.Page{}
	if r.URL.Query().Get("done") == "saved" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "Saved. It holds for what arrives from now on."}}
	}
	return m.renderSettings(w, r, http.StatusOK, page, s, nil)
}

func (m *Module) renderSettings(w http.ResponseWriter, r *http.Request, status int, page ui.Page, s Settings, problem *kernel.Error) error {
	a := httpx.ActorOf(r.Context())
	v := settingsView{Examples: examples(s), Always: redact.DefaultKeys}
	if a.Role == "owner" {
		form := settingsForm(a.WorkspaceID, s)
		if problem != nil {
			if form = form.WithErrors(problem.Fields); len(form.Invalid()) == 0 {
				form.Error = problem.Safe
			}
		}
		v.Form = &form
	} else {
		v.Terms = settingsTerms(s)
	}
	page.Title, page.App, page.Section, page.Body = "Job settings", appKey, settingsHref(a.WorkspaceID), v
	page.Lead = "What is kept of the data that jobs carry. The rules act before anything is stored; what is stored already stays as it is."
	return m.pages.Render(w, r, status, "settings", page)
}

func settingsForm(ws kernel.WorkspaceID, s Settings) ui.Form {
	var choices []ui.Option
	for _, p := range policies {
		choices = append(choices, ui.Option{Value: string(p.Policy), Label: p.Label, Hint: p.Hint})
	}
	return ui.Form{Action: settingsHref(ws), Submit: "Save", Fields: []ui.Field{
		{Name: "payloads", Label: "Keep payloads and results", Kind: "radio", Value: string(s.Payloads), Options: choices, Required: true},
		{Name: "keys", Label: "More keys to redact", Kind: "textarea", Value: strings.Join(s.Keys, "\n"), Mono: true, Rows: 4, Placeholder: "iban\ndate_of_birth",
			Hint: "One to a line, in upper or lower case. Their values are taken out wherever they stand."},
		{Name: "emails", Label: "Take out e-mail addresses", Kind: "checkbox", Checked: s.Emails, Hint: "Wherever they stand: in payloads, results, errors and log lines."},
	}}
}

func settingsTerms(s Settings) []ui.Term {
	emails := "kept"
	if s.Emails {
		emails = "taken out"
	}
	return []ui.Term{{Term: "Payloads and results", Value: policyLabel(s.Payloads)}, {Term: "More keys to redact", Value: cmp.Or(strings.Join(s.Keys, ", "), "none")},
		{Term: "E-mail addresses", Value: emails}, {Term: "To change it", Value: "ask an owner of the workspace"}}
}

// examples runs the real rules over the sample.
func examples(s Settings) []settingsExample {
	var out []settingsExample
	for _, p := range policies {
		rules := redact.New(p.Policy, s.Keys...)
		rules.Emails = s.Emails
		stored, _ := rules.Payload(nil, []byte(sample))
		e := settingsExample{Label: p.Label, Current: p.Policy == s.Payloads, JSON: stored}
		if p.Policy == redact.None {
			e.JSON = nil
		}
		out = append(out, e)
	}
	return out
}

func readSettingsForm(r *http.Request) (s Settings, err error) {
	if err := r.ParseForm(); err != nil {
		return s, kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	s.Payloads = redact.Policy(r.PostForm.Get("payloads"))
	s.Emails = r.PostForm.Get("emails") != ""
	for key := range strings.FieldsFuncSeq(r.PostForm.Get("keys"), func(c rune) bool { return c == '\n' || c == '\r' || c == ',' }) {
		if key = strings.TrimSpace(key); key != "" {
			s.Keys = append(s.Keys, key)
		}
	}
	return s, nil
}

func (m *Module) changeSettings(w http.ResponseWriter, r *http.Request) error {
	s, err := readSettingsForm(r)
	if err != nil {
		return err
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	err = m.SaveSettings(r.Context(), ws, s)
	var problem *kernel.Error
	if errors.As(err, &problem) && problem.Code == kernel.Invalid {
		return m.renderSettings(w, r, respond.Status(problem.Code), ui.Page{}, s, problem)
	}
	if err != nil {
		return err
	}
	return respond.SeeOther(w, r, settingsHref(ws)+"?done=saved")
}
