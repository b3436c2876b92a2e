package access

import (
	"embed"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

//go:embed templates/*.html
var templates embed.FS

const (
	pathKeys   = "/w/{ws}/settings/api-keys"
	pathTokens = "/account/tokens"
	maxForm    = 64 << 10
)

// Routes is the module's part of the route table.
func (m *Module) Routes() []httpx.Route {
	manage := func(method, path string, h httpx.Handler) httpx.Route {
		r := httpx.Route{Method: method, Path: path, Handler: h, Access: httpx.Member, Needs: httpx.MayManage, Rate: httpx.RatePage, MaxBody: maxForm}
		if method == "POST" {
			r.Rate = httpx.RateWrite
		}
		return r
	}
	mine := func(method, path string, h httpx.Handler) httpx.Route {
		r := manage(method, path, h)
		r.Access, r.Needs = httpx.SignedIn, ""
		return r
	}
	careful := func(r httpx.Route) httpx.Route { r.StepUp = true; return r }
	audited := func(action string, r httpx.Route) httpx.Route { r.Audit = action; return r }
	return append([]httpx.Route{
		manage("GET", pathKeys, m.keysPage),
		careful(manage("GET", pathKeys+"/new", m.newKeyPage)),
		careful(audited("api_key.create", manage("POST", pathKeys, m.createKey))),
		careful(manage("GET", pathKeys+"/{id}/rotate", m.rotatePage)),
		careful(audited("api_key.rotate", manage("POST", pathKeys+"/{id}/rotate", m.rotate))),
		manage("GET", pathKeys+"/{id}/revoke", m.revokePage),
		audited("api_key.revoke", manage("POST", pathKeys+"/{id}/revoke", m.revoke)),
		manage("GET", pathKeys+"/tokens/{id}/revoke", m.revokeMembersPage),
		audited("token.revoke", manage("POST", pathKeys+"/tokens/{id}/revoke", m.revokeMembers)),

		mine("GET", pathTokens, m.tokensPage),
		careful(mine("GET", pathTokens+"/new", m.newTokenPage)),
		careful(audited("token.create", mine("POST", pathTokens, m.createToken))),
		mine("GET", pathTokens+"/{id}/revoke", m.revokeTokenPage),
		audited("token.revoke", mine("POST", pathTokens+"/{id}/revoke", m.revokeMine)),
	}, m.mobileRoutes()...)
}

// Nav is the module's part of the navigation.
func (m *Module) Nav() []ui.NavItem {
	return []ui.NavItem{
		{App: "settings", Group: "Account", Label: "Tokens", Href: pathTokens, Icon: "terminal", Order: 13},
		{App: "settings", Group: "Workspace", Label: "API keys", Href: pathKeys, Icon: "key", Order: 30, Needs: string(httpx.MayManage)},
	}
}

// scopeTexts say what a scope lets its holder do.
var scopeTexts = map[string]string{
	ScopeIngest:  "Ingest: report jobs",
	ScopeRead:    "Read: query through the API",
	ScopeWrite:   "Write: change things through the API",
	ScopeAccount: "Account: read who you are",
}

func scopeFields(offered, chosen []string) (out []ui.Field) {
	for _, s := range offered {
		out = append(out, ui.Field{Name: "scope-" + s, Label: scopeTexts[s], Kind: "checkbox", Checked: slices.Contains(chosen, s)})
	}
	return out
}

func readScopes(form map[string][]string, offered []string) (out []string) {
	for _, s := range offered {
		if _, ok := form["scope-"+s]; ok {
			out = append(out, s)
		}
	}
	return out
}

const day = 24 * time.Hour

// readDays reads a number of days that a select offers; anything else is negative, which every service refuses.
func readDays(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n > 10000 {
		return -1
	}
	return time.Duration(n) * day
}

func days(d time.Duration) string { return strconv.Itoa(int(d / day)) }

// refused is the form again with what was wrong, or the error when no form can help.
func refused(form ui.Form, err error) (ui.Form, int, error) {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code != kernel.Invalid && e.Code != kernel.Conflict {
		return form, 0, err
	}
	form = form.WithErrors(e.Fields)
	if len(form.Invalid()) == 0 {
		form.Error = e.Safe
	}
	return form, respond.Status(e.Code), nil
}

// pathID is the {id} of the path. What has not even the form of one does not exist.
func pathID(r *http.Request, what string) (kernel.ID, error) {
	id := r.PathValue("id")
	if !kernel.ValidID(id) {
		return "", kernel.Errorf(kernel.NotFound, "There is no such %s.", what)
	}
	return kernel.ID(id), nil
}

// secretView is the one page that shows a secret.
type secretView struct {
	Name, Text string
	Note       string // what follows from it
	Curl       string
	Href       string // back to the list
}

// renderSecret answers with the page that has the secret, instead of sending the browser on to it: so it is in no address,
// no cookie and no table, and the browser may not keep the page.
func (m *Module) renderSecret(w http.ResponseWriter, r *http.Request, title, list string, v secretView) error {
	w.Header().Set("Cache-Control", "no-store")
	return m.pages.Render(w, r, http.StatusOK, "created", ui.Page{
		Title: title, App: "settings", Section: v.Href, Lead: "Copy it now: it cannot be shown again.",
		Crumbs: []ui.Crumb{{Label: list, Href: v.Href}}, Body: v,
	})
}
