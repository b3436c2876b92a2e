package access

import (
	"net/http"
	"time"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

const pathMe = "/api/v1/me"

// mobileRoutes are for programs that act for a person.
func (m *Module) mobileRoutes() []httpx.Route {
	const base = "/api/v1/mobile"
	pair := map[int]any{http.StatusOK: pairBody{}}
	return []httpx.Route{
		{Method: "POST", Path: base + "/sign-in", Handler: m.mobileSignIn, Access: httpx.Public, Rate: httpx.RateAuth, Audit: "login.create", MaxBody: maxForm,
			API: &httpx.Operation{Summary: "Sign a mobile app in.",
				Description: "Send address and password. For a person with a second factor the answer is 401 with the code second_factor and a flow: " +
					"send the flow with a code of the authenticator app, or with a recovery code, within ten minutes.",
				Request: signInBody{}, Responses: map[int]any{http.StatusOK: pairBody{}, http.StatusUnauthorized: secondBody{}}}},
		{Method: "POST", Path: base + "/refresh", Handler: m.mobileRefresh, Access: httpx.Public, Rate: httpx.RateAuth, MaxBody: maxForm,
			NoAudit: "it goes on with a login that was audited; that it was used is noted there, and a token that comes twice is audited",
			API: &httpx.Operation{Summary: "Exchange a refresh token for the next pair.",
				Description: "A refresh token works once. When it comes a second time all tokens of the sign-in end, since one of the two senders has a copy.",
				Request:     refreshBody{}, Responses: pair}},
		{Method: "POST", Path: base + "/sign-out", Handler: m.mobileSignOut, Access: httpx.Person, Scope: ScopeAccount, Rate: httpx.RateWrite, Audit: "login.end", MaxBody: maxForm,
			API: &httpx.Operation{Summary: "End the sign-in that the access token belongs to.", Responses: map[int]any{http.StatusNoContent: nil}}},
		{Method: "GET", Path: pathMe, Handler: m.me, Access: httpx.Person, Scope: ScopeAccount, Rate: httpx.RatePage,
			API: &httpx.Operation{Summary: "Who the token belongs to.", Responses: map[int]any{http.StatusOK: meBody{}}}},
		{Method: "GET", Path: "/api/v1/workspaces", Handler: m.workspaces, Access: httpx.Person, Scope: ScopeRead, Rate: httpx.RatePage,
			API: &httpx.Operation{Summary: "The workspaces that the token is for.",
				Description: "A personal token is for one. A mobile app's token is for all of the person's: say which in the header " + httpx.WorkspaceHeader + ".",
				Responses:   map[int]any{http.StatusOK: workspacesBody{}}}},
	}
}

type signInBody struct {
	Email    string `json:"email,omitempty"`
	Password string `json:"password,omitempty"`
	Flow     string `json:"flow,omitempty" doc:"Of the answer that asked for the second factor; then without email and password."`
	Code     string `json:"code,omitempty" doc:"Of the authenticator app."`
	Recovery string `json:"recovery,omitempty" doc:"A recovery code, instead of a code."`
	Device   string `json:"device,omitempty" doc:"What the person calls the device, for the list of logins."`
}

type refreshBody struct {
	Refresh string `json:"refresh"`
}

type pairBody struct {
	Access    string    `json:"access"`
	AccessEnd time.Time `json:"access_expires_at"`
	Refresh   string    `json:"refresh"`
}

// secondBody asks for the second factor: an error answer with a flow.
type secondBody struct {
	respond.ProblemDetails
	Flow string `json:"flow"`
}

type meBody struct {
	AccountID kernel.AccountID `json:"account_id"`
	Email     string           `json:"email"`
	Name      string           `json:"name,omitempty"`
}

type workspacesBody struct {
	Workspaces []workspaceBody `json:"workspaces"`
}

type workspaceBody struct {
	ID   kernel.WorkspaceID `json:"id"`
	Name string             `json:"name"`
	Role string             `json:"role"`
}

func (m *Module) mobileSignIn(w http.ResponseWriter, r *http.Request) error {
	var in signInBody
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	device := identity.DeviceOf(r)
	if in.Device != "" {
		device.UserAgent = in.Device
	}
	p, flow, err := m.SignInMobile(r.Context(), MobileSignIn{Email: in.Email, Password: in.Password, Flow: in.Flow, Code: in.Code, Recovery: in.Recovery, Device: device})
	if err != nil {
		return err
	}
	if flow != "" {
		return askSecond(w, r, flow)
	}
	return sendPair(w, p)
}

func askSecond(w http.ResponseWriter, r *http.Request, flow string) error {
	w.Header().Set("Cache-Control", "no-store")
	return respond.JSON(w, http.StatusUnauthorized, secondBody{Flow: flow, ProblemDetails: respond.ProblemDetails{
		Type: "about:blank", Title: http.StatusText(http.StatusUnauthorized), Status: http.StatusUnauthorized, Code: "second_factor",
		Detail: "Send this flow with a code of the authenticator app.", RequestID: httpx.RequestID(r.Context())}})
}

func sendPair(w http.ResponseWriter, p Pair) error {
	w.Header().Set("Cache-Control", "no-store")
	return respond.JSON(w, http.StatusOK, pairBody(p))
}

func (m *Module) mobileRefresh(w http.ResponseWriter, r *http.Request) error {
	var in refreshBody
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	p, err := m.RefreshMobile(r.Context(), in.Refresh)
	if err != nil {
		return err
	}
	return sendPair(w, p)
}

func (m *Module) mobileSignOut(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	if a.LoginID == "" {
		return kernel.Errorf(kernel.Forbidden, "A personal token does not belong to a sign-in. Revoke it where it was made.")
	}
	if err := m.d.Identity.EndLogin(r.Context(), a, a.LoginID); err != nil {
		return err
	}
	return respond.NoContent(w)
}

func (m *Module) me(w http.ResponseWriter, r *http.Request) error {
	a, err := m.d.Identity.Account(r.Context(), httpx.ActorOf(r.Context()).AccountID)
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, meBody{AccountID: a.ID, Email: a.Email, Name: a.Name})
}

func (m *Module) workspaces(w http.ResponseWriter, r *http.Request) error {
	a := httpx.ActorOf(r.Context())
	all, err := m.d.Workspaces.Of(r.Context(), a.AccountID)
	if err != nil {
		return err
	}
	out := workspacesBody{Workspaces: []workspaceBody{}}
	for _, ws := range all {
		if a.WorkspaceID == "" || a.WorkspaceID == ws.ID {
			out.Workspaces = append(out.Workspaces, workspaceBody{ID: ws.ID, Name: ws.Name, Role: ws.Role})
		}
	}
	return respond.JSON(w, http.StatusOK, out)
}
