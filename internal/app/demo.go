package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/demo"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// The account and workspace of a demo.
const (
	demoEmail     = "demo@example.com"
	demoWorkspace = "Demo shop"
	demoLinkLife  = time.Hour
)

// demoModule has the pages that only a demo shows.
type demoModule struct{ a *App }

func (demoModule) Name() string { return "demo" }

// Routes are the living page of all components, and the endpoint that demo jobs call and that fails now and then.
func (m demoModule) Routes() []httpx.Route {
	plain := func(h http.HandlerFunc) httpx.Handler {
		return func(w http.ResponseWriter, r *http.Request) error {
			h(w, r)
			return nil
		}
	}
	flaky := plain(demo.FlakyHandler(demo.Outage{After: time.Minute, For: 75 * time.Second, Every: 4 * time.Minute}).ServeHTTP)
	return []httpx.Route{
		{Method: "GET", Path: "/ui", Handler: plain(m.a.ui.Gallery), Access: httpx.Public, Rate: httpx.RatePage},
		{Method: "POST", Path: "/ui", Handler: plain(m.a.ui.Gallery), Access: httpx.Public, Rate: httpx.RateWrite, NoAudit: "the gallery changes nothing"},
		{Method: "GET", Path: demo.FlakyPath, Handler: flaky, Access: httpx.Public, Rate: httpx.RatePage},
		{Method: "POST", Path: demo.FlakyPath, Handler: flaky, Access: httpx.Public, Rate: httpx.RateWrite, NoAudit: "it changes nothing"},
	}
}

// RunDemo runs a server with a workspace and a shop whose background jobs are real, until the process is told to stop.
// Without a data directory it uses one that is removed afterwards.
func RunDemo(ctx context.Context, cfg config.Config, temporary bool, w io.Writer, options ...Option) (err error) {
	if temporary {
		if cfg.Data, err = os.MkdirTemp("", "kept-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(cfg.Data)
	}
	options = append(options, WithMailbox(), func(a *App) { a.extra = append(a.extra, demoModule{a}) })
	a, err := New(ctx, cfg, options...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Stop(context.WithoutCancel(ctx))) }()
	if err := a.Start(ctx); err != nil {
		return err
	}
	made, err := a.setUpDemo(ctx)
	if err != nil {
		return err
	}
	shop, err := demo.New(demo.Config{
		Endpoint: a.URL(), APIKey: made.APIKey, SelfURL: a.URL(), Dir: filepath.Join(cfg.Data, "shop"), Logger: a.logger,
		Mail: func(ctx context.Context, to, subject, text string) error {
			_, err := a.mailbox.Send(ctx, mail.Message{To: to, Subject: subject, Text: text})
			return err
		},
		OnProgress: func(done, total int, what string) {
			fmt.Fprintf(w, "\r%-78s", fmt.Sprintf("  %3d of %d jobs done: %s", done, total, what))
			if done == total {
				fmt.Fprintf(w, "\r%-78s\n", fmt.Sprintf("  %d jobs done; from now on a few a minute. Stop with Ctrl-C.", done))
			}
		},
	})
	if err != nil {
		return err
	}
	link, err := a.core.identity.CreateOneTimeLink(ctx, made.AccountID, "/w/"+string(made.WorkspaceID), demoLinkLife)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n  Kept runs at %s\n\n  Open this once, within an hour, to sign in:\n\n    %s\n\n", a.URL(), link)
	fmt.Fprintf(w, "  Mail:       %s%s\n  Components: %s/ui\n  API key:    %s\n\n", a.URL(), mailboxPath, a.URL(), made.APIKey)
	defer func() { err = errors.Join(err, shop.Stop(context.WithoutCancel(ctx))) }()
	if err := shop.Start(ctx); err != nil {
		return err
	}
	stop, err := a.startDemoMetrics(ctx, made, shop.MetricsURL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(context.WithoutCancel(ctx))) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.Failed():
		return err
	}
}

// setUpDemo makes the demo's account, with a password that nobody knows: the link is the way in.
func (a *App) setUpDemo(ctx context.Context) (access.SetupResult, error) {
	return a.Setup(ctx, access.Setup{Email: demoEmail, Password: string(kernel.NewID(a.clock()) + kernel.NewID(a.clock())), Workspace: demoWorkspace})
}
