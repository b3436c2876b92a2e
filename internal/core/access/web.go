package access

import (
	"embed"
	"errors"
	"net/http"
	"slices"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

const pathKeys = "/w/{ws}/settings/api-keys"

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	return []httpx.Route{
		{Method: "GET", Path: pathKeys, Handler: m.keysPage, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RatePage},
		{Method: "POST", Path: pathKeys, Handler: m.create, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RateWrite, Audit: "api_key.create", MaxBody: 64 << 10},
		{Method: "GET", Path: pathKeys + "/{id}/revoke", Handler: m.revokePage, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RatePage},
		{Method: "POST", Path: pathKeys + "/{id}/revoke", Handler: m.revoke, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RateWrite, Audit: "api_key.revoke", MaxBody: 64 << 10},
	}
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{{App: "settings", Label: "API keys", Href: pathKeys, Icon: "key", Order: 30}}
}

func keysHref(ws kernel.WorkspaceID) string { return "/w/" + string(ws) + "/settings/api-keys" }

type keysView struct {
	Keys  []Key
	Href  string
	Form  *ui.Form // for owners
	Empty *ui.Empty
}

func keyForm(ws kernel.WorkspaceID, in NewKey) ui.Form {
	may := func(scope string) bool { return slices.Contains(in.Scopes, scope) }
	return ui.Form{Action: keysHref(ws), Narrow: true, Submit: "Create the key", Fields: []ui.Field{
		{Name: "name", Label: "Name", Value: in.Name, Required: true, MaxLength: maxKeyName, Placeholder: "orders worker, production",
			Hint: "Where the key is used, so that you know later whether it may go."},
		{Name: "scope-" + ScopeIngest, Label: "Ingest: report jobs", Kind: "checkbox", Checked: may(ScopeIngest)},
		{Name: "scope-" + ScopeRead, Label: "Read: query through the API", Kind: "checkbox", Checked: may(ScopeRead)},
	}}
}

func (m *Module) keysView(r *http.Request, in NewKey) (v keysView, err error) {
	a := httpx.ActorOf(r.Context())
	v.Href = keysHref(a.WorkspaceID)
	if v.Keys, err = m.Keys(r.Context(), a.WorkspaceID); err != nil {
		return v, err
	}
	if a.Role == workspace.RoleOwner {
		form := keyForm(a.WorkspaceID, in)
		v.Form = &form
	}
	if len(v.Keys) == 0 {
		v.Empty = &ui.Empty{Icon: "key", Title: "No keys yet", Text: "A worker needs a key to report its jobs. Create one below; it is shown once."}
		if v.Form == nil {
			v.Empty.Text = "A worker needs a key to report its jobs. An owner of this workspace can create one."
		}
	}
	return v, nil
}

func (m *Module) renderKeys(w http.ResponseWriter, r *http.Request, status int, v keysView) error {
	page := ui.Page{Title: "API keys", App: "settings", Body: v, Lead: "Machines use them to report to this workspace and to read from it."}
	if r.URL.Query().Get("done") == "revoked" && status == http.StatusOK {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The key is revoked. Whoever still uses it gets 401."}}
	}
	return m.pages.Render(w, r, status, "keys", page)
}

func (m *Module) keysPage(w http.ResponseWriter, r *http.Request) error {
	v, err := m.keysView(r, NewKey{Scopes: []string{ScopeIngest}})
	if err != nil {
		return err
	}
	return m.renderKeys(w, r, http.StatusOK, v)
}

func readKeyForm(r *http.Request) (in NewKey, err error) {
	if err := r.ParseForm(); err != nil {
		return in, kernel.Wrap(err, kernel.Malformed, "The form could not be read.")
	}
	in.Name = r.PostForm.Get("name")
	for _, s := range Scopes() {
		if r.PostForm.Has("scope-" + s) {
			in.Scopes = append(in.Scopes, s)
		}
	}
	return in, nil
}

type createdView struct {
	Key  Key
	Text string
	Curl string
	Href string
}

// create answers with the page that has the key, instead of sending the browser on to it: so the key is in no address,
// no cookie and no table.
func (m *Module) create(w http.ResponseWriter, r *http.Request) error {
	in, err := readKeyForm(r)
	if err != nil {
		return err
	}
	a := httpx.ActorOf(r.Context())
	k, text, err := m.CreateKey(r.Context(), audit.ActorOf(a), a.WorkspaceID, in)
	if err != nil {
		return m.createAgain(w, r, in, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	return m.pages.Render(w, r, http.StatusOK, "created", ui.Page{
		Title: "The key is ready", App: "settings", Section: keysHref(a.WorkspaceID), Lead: "Copy it now: it cannot be shown again.",
		Crumbs: []ui.Crumb{{Label: "API keys", Href: keysHref(a.WorkspaceID)}},
		Body:   createdView{Key: k, Text: text, Curl: m.curlLine(k, text), Href: keysHref(a.WorkspaceID)},
	})
}

// curlLine is a command that does something with the key at once.
func (m *Module) curlLine(k Key, text string) string {
	head := "curl -sS -H \"Authorization: Bearer " + text + "\" \\\n  "
	if !slices.Contains(k.Scopes, ScopeIngest) {
		return head + m.d.BaseURL + "/api/v1/jobs"
	}
	return head + `-H "Content-Type: application/json" \
  -d '{"events":[{"jobId":"1","jobName":"hello","queue":"test","event":"completed","timestamp":'"$(date +%s)"'000}]}' \
  ` + m.d.BaseURL + "/api/v1/events"
}

func (m *Module) createAgain(w http.ResponseWriter, r *http.Request, in NewKey, err error) error {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return err
	}
	v, verr := m.keysView(r, in)
	if verr != nil {
		return verr
	}
	form := v.Form.WithErrors(e.Fields)
	if len(form.Invalid()) == 0 {
		form.Error = e.Safe
	}
	v.Form = &form
	return m.renderKeys(w, r, respond.Status(e.Code), v)
}

func (m *Module) pathKey(r *http.Request) (Key, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return Key{}, kernel.Errorf(kernel.NotFound, "There is no such key.")
	}
	return m.FindKey(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, kernel.ID(id))
}

func (m *Module) revokePage(w http.ResponseWriter, r *http.Request) error {
	k, err := m.pathKey(r)
	if err != nil {
		return err
	}
	href := keysHref(k.WorkspaceID)
	return m.pages.Render(w, r, http.StatusOK, "revoke", ui.Page{
		Title: "Revoke " + k.Name + "?", App: "settings", Section: href, Crumbs: []ui.Crumb{{Label: "API keys", Href: href}},
		Body: ui.Dialog{Text: "Whoever uses " + k.Prefix + "… is refused from now on. This cannot be undone.",
			Form: ui.Form{Action: href + "/" + string(k.ID) + "/revoke", Submit: "Revoke the key", Danger: true, Cancel: href}},
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
