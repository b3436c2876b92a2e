package app

import (
	"context"
	"net/http"
	"slices"

	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

// signOutPath is where the form in the account menu is posted; core/identity answers there.
const signOutPath = "/sign-out"

// shellApps are the entries of the switcher and of the account menu. One that has no navigation is not shown.
var shellApps = []ui.App{
	{Key: "jobs", Label: "Jobs", Icon: "jobs", Order: 10},
	{Key: "metrics", Label: "Metrics", Icon: "chart", Order: 20},
	{Key: "alerts", Label: "Alerts", Icon: "bell", Order: 30},
	{Key: "settings", Label: "Settings", Icon: "settings", Order: 90, Menu: true},
}

// accessApps are the apps that a member's access may include or not: those that are on.
func (a *App) accessApps() (out []workspace.App) {
	for _, app := range shellApps {
		if slices.Contains(appNames, app.Key) && a.appOn(app.Key) {
			out = append(out, workspace.App{Key: app.Key, Label: app.Label})
		}
	}
	return out
}

func (a *App) buildUI(context.Context) (err error) {
	a.ui, err = ui.New(ui.Config{Apps: shellApps, Frame: a.frame})
	return err
}

// frame is what surrounds a page: the navigation of the workspace that one is in, and who one is.
func (a *App) frame(r *http.Request) ui.Frame {
	actor := a.core.access.Around(r)
	f := ui.Frame{Nav: ui.ExpandNav(a.core.workspaces.VisibleNav(a.nav, actor), string(actor.WorkspaceID))}
	if actor.AccountID == "" {
		return f
	}
	f.Viewer = &ui.Viewer{Email: actor.Email, Workspace: actor.Workspace, SignOut: signOutPath}
	if actor.WorkspaceID != "" {
		f.Viewer.WorkspaceHref = "/w/" + string(actor.WorkspaceID)
	}
	var err error
	if f.Notice, err = a.core.status.Banner(r.Context(), actor.AccountID); err != nil {
		a.logger.Error("the notices of the server could not be read", "request_id", httpx.RequestID(r.Context()), "error", err)
	}
	if f.Viewer.Workspaces, err = a.core.workspaces.Switch(r.Context(), actor); err != nil {
		a.logger.Error("the workspaces of the menu could not be read", "request_id", httpx.RequestID(r.Context()), "error", err)
	}
	return f
}

// errorPage shows an error to people. When even that page fails there is plain text.
func (a *App) errorPage(w http.ResponseWriter, r *http.Request, status int, e *kernel.Error, requestID string) {
	text := e.Safe
	if status == http.StatusInternalServerError {
		text = "" // the page has a sentence of its own, which is the same for every cause
	}
	if err := a.ui.Error(w, r, ui.ErrorView{Status: status, Text: text, RequestID: requestID}); err != nil {
		a.logger.Error("the error page could not be rendered", "request_id", requestID, "error", err)
		_ = respond.Text(w, status, e.Safe+"\n")
	}
}

// assets serves the built files of the user interface. Their names change with their content.
func (a *App) assets() httpx.Route {
	files := a.ui.Assets()
	return httpx.Route{
		Method: "GET", Path: ui.AssetPrefix + "{file...}", Access: httpx.Public, Rate: httpx.RateNone,
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			files.ServeHTTP(w, r)
			return nil
		},
	}
}
