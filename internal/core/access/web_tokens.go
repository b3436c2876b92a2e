package access

import (
	"net/http"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

type tokensView struct {
	Tokens []tokenRow
	Empty  *ui.Empty
}

type tokenRow struct {
	Token
	State string // "revoked", "expired"; empty: it works
}

func tokenRows(tokens []Token, now time.Time) []tokenRow {
	rows := make([]tokenRow, len(tokens))
	for i, t := range tokens {
		rows[i] = tokenRow{Token: t}
		switch {
		case t.Revoked():
			rows[i].State = "revoked"
		case t.Expired(now):
			rows[i].State = "expired"
		}
	}
	return rows
}

func (m *Module) tokensPage(w http.ResponseWriter, r *http.Request) error {
	tokens, err := m.Tokens(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return err
	}
	v := tokensView{Tokens: tokenRows(tokens, m.d.Clock())}
	if len(tokens) == 0 {
		v.Empty = &ui.Empty{Icon: "terminal", Title: "No tokens yet", Text: "A token lets a program of yours use the API as you, in one workspace. For workers that report, a workspace's API key is right.",
			Action: &ui.Action{Label: "Create a token", Href: pathTokens + "/new", Primary: true}}
	}
	page := ui.Page{Title: "Tokens", App: "settings", Body: v, Lead: "Your own programs use them to do what you may do, and never more."}
	if len(tokens) > 0 {
		page.Actions = []ui.Action{{Label: "Create a token", Href: pathTokens + "/new", Icon: "plus", Primary: true}}
	}
	if r.URL.Query().Get("done") == "revoked" {
		page.Toasts = []ui.Toast{{Tone: ui.ToneGood, Text: "The token is revoked. Whoever still uses it gets 401."}}
	}
	return m.pages.Render(w, r, http.StatusOK, "tokens", page)
}

var tokenLives = []ui.Option{{Value: "7", Label: "in 7 days"}, {Value: "30", Label: "in 30 days"}, {Value: "90", Label: "in 90 days"}, {Value: "365", Label: "in a year"}}

// tokenForm is the form for a new token of the person who asks.
func (m *Module) tokenForm(r *http.Request, in NewToken) (ui.Form, error) {
	mine, err := m.d.Workspaces.Of(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return ui.Form{}, err
	}
	where := ui.Field{Name: "workspace", Label: "Workspace", Kind: "select", Required: true, Value: string(in.WorkspaceID),
		Hint: "The token works there only, and goes when you leave."}
	for _, w := range mine {
		where.Options = append(where.Options, ui.Option{Value: string(w.ID), Label: w.Name})
	}
	fields := []ui.Field{{Name: "name", Label: "Name", Value: in.Name, Required: true, MaxLength: maxName, Placeholder: "report script, laptop",
		Hint: "What it is for, so that you know later whether it may go."}, where}
	fields = append(fields, scopeFields(TokenScopes(), in.Scopes)...)
	fields = append(fields, ui.Field{Name: "expires", Label: "Ends", Kind: "select", Required: true, Value: days(in.Lives), Options: tokenLives})
	return ui.Form{Action: pathTokens, Narrow: true, Submit: "Create the token", Cancel: pathTokens, Fields: fields}, nil
}

func (m *Module) newTokenPage(w http.ResponseWriter, r *http.Request) error {
	form, err := m.tokenForm(r, NewToken{Scopes: []string{ScopeRead}, Lives: 90 * day})
	if err != nil {
		return err
	}
	return m.renderNewToken(w, r, http.StatusOK, form)
}

func (m *Module) renderNewToken(w http.ResponseWriter, r *http.Request, status int, form ui.Form) error {
	return m.pages.Render(w, r, status, "new", ui.Page{Title: "New token", App: "settings", Section: pathTokens,
		Crumbs: []ui.Crumb{{Label: "Tokens", Href: pathTokens}}, Body: form})
}

func (m *Module) createToken(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	in := NewToken{Name: form.Get("name"), WorkspaceID: kernel.WorkspaceID(form.Get("workspace")), Scopes: readScopes(form, TokenScopes()),
		Lives: readDays(form.Get("expires"))}
	t, text, err := m.CreateToken(r.Context(), httpx.ActorOf(r.Context()), in)
	if err != nil {
		again, ferr := m.tokenForm(r, in)
		if ferr != nil {
			return ferr
		}
		again, status, err := refused(again, err)
		if err != nil {
			return err
		}
		return m.renderNewToken(w, r, status, again)
	}
	return m.renderSecret(w, r, "The token is ready", "Tokens", secretView{Name: t.Name, Text: text, Curl: m.curlLine(t.Scopes, text), Href: pathTokens,
		Note: "Kept stores only a hash of it. If you lose it, create another and revoke this one."})
}

func (m *Module) pathToken(r *http.Request) (Token, error) {
	id, err := pathID(r, "token")
	if err != nil {
		return Token{}, err
	}
	return m.FindToken(r.Context(), httpx.ActorOf(r.Context()).AccountID, id)
}

func (m *Module) revokeTokenPage(w http.ResponseWriter, r *http.Request) error {
	t, err := m.pathToken(r)
	if err != nil {
		return err
	}
	return m.askRevoke(w, r, "Tokens", pathTokens, pathTokens+"/"+string(t.ID)+"/revoke", t.Name, t.Prefix, "Revoke the token")
}

func (m *Module) revokeMine(w http.ResponseWriter, r *http.Request) error {
	t, err := m.pathToken(r)
	if err != nil {
		return err
	}
	if err := m.RevokeToken(r.Context(), httpx.ActorOf(r.Context()), t.ID); err != nil {
		return err
	}
	return respond.SeeOther(w, r, pathTokens+"?done=revoked")
}
