package access

import (
	"net/http"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func keysHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/settings/api-keys" }

type keysView struct {
	Keys   []keyRow
	Tokens []tokenRow // of members
	Href   string
	Hosts  int64 // that have keys of their own
	Empty  *ui.Empty
}

type keyRow struct {
	Key
	State    string // "revoked", "expired"; empty: it works
	Replaced bool   // another key takes over from it
}

var keysDone = map[string]string{
	"revoked": "The key is revoked. Whoever still uses it gets 401.",
	"token":   "The token is revoked. Whoever still uses it gets 401.",
}

func (m *Module) keysPage(w http.ResponseWriter, r *http.Request) error {
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	keys, err := m.Keys(r.Context(), ws)
	if err != nil {
		return err
	}
	tokens, err := m.WorkspaceTokens(r.Context(), ws)
	if err != nil {
		return err
	}
	hosts, err := m.CountHostKeys(r.Context(), ws)
	if err != nil {
		return err
	}
	now := m.d.Clock()
	v := keysView{Href: keysHref(ws), Hosts: hosts, Keys: keyRows(keys, now), Tokens: tokenRows(tokens, now)}
	if len(keys) == 0 {
		v.Empty = &ui.Empty{Icon: "key", Title: "No keys yet", Text: "A worker needs a key to report its jobs. It is shown once, when you create it.",
			Action: &ui.Action{Label: "Create a key", Href: v.Href + "/new", Primary: true}}
	}
	page := ui.Page{Title: "API keys", App: "settings", Body: v, Lead: "Machines use them to report to this workspace and to read from it."}
	if len(keys) > 0 {
		page.Actions = []ui.Action{{Label: "Create a key", Href: v.Href + "/new", Icon: "plus", Primary: true}}
	}
	if text := keysDone[r.URL.Query().Get("done")]; text != "" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: text}}
	}
	return m.pages.Render(w, r, http.StatusOK, "keys", page)
}

func keyRows(keys []Key, now time.Time) []keyRow {
	successor := map[kernel.ID]bool{}
	for _, k := range keys {
		successor[k.Replaces] = true
	}
	rows := make([]keyRow, len(keys))
	for i, k := range keys {
		rows[i] = keyRow{Key: k, Replaced: successor[k.ID]}
		switch {
		case k.Revoked():
			rows[i].State = "revoked"
		case k.Expired(now):
			rows[i].State = "expired"
		}
	}
	return rows
}

// keyLives are the lifetimes that the form offers.
var keyLives = []ui.Option{{Value: "0", Label: "never"}, {Value: "30", Label: "in 30 days"}, {Value: "90", Label: "in 90 days"}, {Value: "365", Label: "in a year"}}

func keyForm(ws kernel.WorkspaceID, in NewKey) ui.Form {
	fields := []ui.Field{{Name: "name", Label: "Name", Value: in.Name, Required: true, MaxLength: maxName, Placeholder: "orders worker, production",
		Hint: "Where the key is used, so that you know later whether it may go."}}
	fields = append(fields, scopeFields(Scopes(), in.Scopes)...)
	fields = append(fields, ui.Field{Name: "expires", Label: "Ends", Kind: "select", Required: true, Value: days(in.Lives), Options: keyLives,
		Hint: "A worker whose key has ended cannot report. You can rotate a key at any time."})
	return ui.Form{Action: keysHref(ws), Narrow: true, Submit: "Create the key", Cancel: keysHref(ws), Fields: fields}
}

func (m *Module) newKeyPage(w http.ResponseWriter, r *http.Request) error {
	return m.renderNewKey(w, r, http.StatusOK, keyForm(httpx.ActorOf(r.Context()).WorkspaceID, NewKey{Scopes: []string{ScopeIngest}}))
}

func (m *Module) renderNewKey(w http.ResponseWriter, r *http.Request, status int, form ui.Form) error {
	return m.pages.Render(w, r, status, "new", ui.Page{Title: "New API key", App: "settings", Section: form.Cancel,
		Crumbs: []ui.Crumb{{Label: "API keys", Href: form.Cancel}}, Body: form})
}

func (m *Module) createKey(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	in := NewKey{Name: form.Get("name"), Scopes: readScopes(form, Scopes())}
	if form.Has("expires") {
		in.Lives = readDays(form.Get("expires"))
	}
	a := httpx.ActorOf(r.Context())
	k, text, err := m.CreateKey(r.Context(), audit.ActorOf(a), a.WorkspaceID, in)
	if err != nil {
		again, status, err := refused(keyForm(a.WorkspaceID, in), err)
		if err != nil {
			return err
		}
		return m.renderNewKey(w, r, status, again)
	}
	return m.renderSecret(w, r, "The key is ready", "API keys", secretView{Name: k.Name, Text: text, Curl: m.curlLine(k.Scopes, text), Href: keysHref(k.WorkspaceID),
		Note: "Kept stores only a hash of it. If you lose it, rotate the key."})
}

// curlLine is a command that does something with a key or token at once.
func (m *Module) curlLine(scopes []string, text string) string {
	head := "curl -sS -H \"Authorization: Bearer " + text + "\" \\\n  "
	switch {
	case slices.Contains(scopes, ScopeIngest):
		return head + `-H "Content-Type: application/json" \
  -d '{"events":[{"jobId":"1","jobName":"hello","queue":"test","event":"completed","timestamp":'"$(date +%s)"'000}]}' \
  ` + m.d.BaseURL + "/api/v1/events"
	case slices.Contains(scopes, ScopeRead):
		return head + m.d.BaseURL + "/api/v1/jobs"
	case slices.Contains(scopes, ScopeAccount):
		return head + m.d.BaseURL + pathMe
	}
	return ""
}

func (m *Module) pathKey(r *http.Request) (Key, error) {
	id, err := pathID(r, "key")
	if err != nil {
		return Key{}, err
	}
	return m.FindKey(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, id)
}

// overlaps are for how long the old key still works, in hours.
var overlaps = []ui.Option{
	{Value: "24", Label: "1 day", Hint: "Put the new key in place at leisure."},
	{Value: "1", Label: "1 hour", Hint: "When you can change over now."},
	{Value: "168", Label: "7 days", Hint: "When many machines use it."},
	{Value: "0", Label: "not at all", Hint: "When the old key may be in the wrong hands: whoever uses it is refused at once."},
}

func rotateForm(k Key) ui.Form {
	href := keysHref(k.WorkspaceID)
	return ui.Form{Action: href + "/" + string(k.ID) + "/rotate", Narrow: true, Submit: "Rotate the key", Cancel: href, Fields: []ui.Field{
		{Name: "overlap", Label: "The old key still works for", Kind: "radio", Required: true, Value: "24", Options: overlaps}}}
}

func (m *Module) rotatePage(w http.ResponseWriter, r *http.Request) error {
	k, err := m.pathKey(r)
	if err != nil {
		return err
	}
	return m.renderRotate(w, r, http.StatusOK, k, rotateForm(k))
}

func (m *Module) renderRotate(w http.ResponseWriter, r *http.Request, status int, k Key, form ui.Form) error {
	return m.pages.Render(w, r, status, "question", ui.Page{
		Title: "Rotate " + k.Name + "?", App: "settings", Section: form.Cancel, Crumbs: []ui.Crumb{{Label: "API keys", Href: form.Cancel}},
		Body: ui.Dialog{Text: "You get a new key that may do the same. Until the old one (" + k.Prefix + "…) ends, both work.", Form: form},
	})
}

func (m *Module) rotate(w http.ResponseWriter, r *http.Request) error {
	k, err := m.pathKey(r)
	if err != nil {
		return err
	}
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	overlap := time.Duration(-1)
	if i := slices.IndexFunc(overlaps, func(o ui.Option) bool { return o.Value == form.Get("overlap") }); i >= 0 {
		overlap = readDays(overlaps[i].Value) / 24
	}
	fresh, text, err := m.RotateKey(r.Context(), audit.ActorOf(httpx.ActorOf(r.Context())), k.WorkspaceID, k.ID, overlap)
	if err != nil {
		again, status, err := refused(rotateForm(k), err)
		if err != nil {
			return err
		}
		return m.renderRotate(w, r, status, k, again)
	}
	note := "The old one is refused from now on."
	if overlap > 0 {
		note = "The old one (" + k.Prefix + "…) works until " + m.d.Clock().Add(overlap).Format("2006-01-02 15:04") + " UTC."
	}
	return m.renderSecret(w, r, "The new key is ready", "API keys",
		secretView{Name: fresh.Name, Text: text, Curl: m.curlLine(fresh.Scopes, text), Href: keysHref(k.WorkspaceID), Note: note})
}

func (m *Module) revokePage(w http.ResponseWriter, r *http.Request) error {
	k, err := m.pathKey(r)
	if err != nil {
		return err
	}
	return m.askRevoke(w, r, "API keys", keysHref(k.WorkspaceID), keysHref(k.WorkspaceID)+"/"+string(k.ID)+"/revoke", k.Name, k.Prefix, "Revoke the key")
}

// askRevoke asks before a key or token is ended.
func (m *Module) askRevoke(w http.ResponseWriter, r *http.Request, list, href, action, name, prefix, submit string) error {
	return m.pages.Render(w, r, http.StatusOK, "question", ui.Page{
		Title: "Revoke " + name + "?", App: "settings", Section: href, Crumbs: []ui.Crumb{{Label: list, Href: href}},
		Body: ui.Dialog{Text: "Whoever uses " + prefix + "… is refused from now on. This cannot be undone.",
			Form: ui.Form{Action: action, Submit: submit, Danger: true, Cancel: href}},
	})
}

func (m *Module) revoke(w http.ResponseWriter, r *http.Request) error {
	k, err := m.pathKey(r)
	if err != nil {
		return err
	}
	if err := m.RevokeKey(r.Context(), audit.ActorOf(httpx.ActorOf(r.Context())), k.WorkspaceID, k.ID); err != nil {
		return err
	}
	return respond.SeeOther(w, r, keysHref(k.WorkspaceID)+"?done=revoked")
}

// membersToken is the token in the path, of any member of the workspace in the path.
func (m *Module) membersToken(r *http.Request) (Token, error) {
	id, err := pathID(r, "token")
	if err != nil {
		return Token{}, err
	}
	return m.workspaceToken(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, id)
}

func (m *Module) revokeMembersPage(w http.ResponseWriter, r *http.Request) error {
	t, err := m.membersToken(r)
	if err != nil {
		return err
	}
	href := keysHref(t.WorkspaceID)
	return m.askRevoke(w, r, "API keys", href, href+"/tokens/"+string(t.ID)+"/revoke", t.Name+" of "+t.Owner, t.Prefix, "Revoke the token")
}

func (m *Module) revokeMembers(w http.ResponseWriter, r *http.Request) error {
	t, err := m.membersToken(r)
	if err != nil {
		return err
	}
	if err := m.RevokeTokenOf(r.Context(), audit.ActorOf(httpx.ActorOf(r.Context())), t.WorkspaceID, t.ID); err != nil {
		return err
	}
	return respond.SeeOther(w, r, keysHref(t.WorkspaceID)+"?done=token")
}
