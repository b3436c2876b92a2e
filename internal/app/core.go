package app

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/agreement"
	"github.com/kept-dev/kept/internal/core/alert"
	"github.com/kept-dev/kept/internal/core/apilog"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/dashboard"
	"github.com/kept-dev/kept/internal/core/federation"
	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/core/mail"
	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/core/proof"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/core/scim"
	"github.com/kept-dev/kept/internal/core/status"
	"github.com/kept-dev/kept/internal/core/usage"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/queue"
)

// core is what all apps share. Later ones are made from earlier ones.
type core struct {
	audit      *audit.Module
	mail       *mail.Module
	identity   *identity.Module
	workspaces *workspace.Module
	access     *access.Module
	proof      *proof.Module
	federation *federation.Module
	scim       *scim.Module
	apilog     *apilog.Module
	agreement  *agreement.Module
	privacy    *privacy.Module

	usage     *usage.Module
	query     *query.Module
	notify    *notify.Module
	alert     *alert.Module
	dashboard *dashboard.Module
	status    *status.Module
}

// buildCore makes the core modules.
func (a *App) buildCore() (err error) {
	sender, err := a.mailSender()
	if err != nil {
		return err
	}
	c := &a.core
	if c.audit, err = audit.New(audit.Deps{DB: a.control, UI: a.ui, Clock: a.clock}); err != nil {
		return err
	}
	if c.mail, err = mail.New(mail.Deps{
		DB: a.control, UI: a.ui, Seal: a.keys.Instance(), Sender: sender, Types: mailTypes(),
		From: a.mailFrom(), BaseURL: a.BaseURL(), Reports: a.mailReports(), Clock: a.clock, Logger: a.logger,
	}); err != nil {
		return err
	}
	if c.identity, err = identity.New(identity.Deps{
		DB: a.control, UI: a.ui, Mail: c.mail, Audit: c.audit, Seal: a.keys.Instance(), BaseURL: a.BaseURL(), ClosedSignUp: !a.canMail(), MailboxHref: a.mailboxHref(),
		NoMail: !a.canMail(), MinAge: a.minAge(), PasswordCost: a.cost, Locate: a.locates(), Clock: a.clock, Logger: a.logger,
	}); err != nil {
		return err
	}
	c.identity.Watch(ownersAlarm{a})
	if c.workspaces, err = workspace.New(workspace.Deps{
		DB: a.control, UI: a.ui, Mail: c.mail, SignUps: c.identity, BaseURL: a.BaseURL(), Apps: a.accessApps(), Home: "jobs", NoMail: !a.canMail(), Clock: a.clock,
	}); err != nil {
		return err
	}
	if c.access, err = access.New(access.Deps{
		DB: a.control, UI: a.ui, Identity: c.identity, Workspaces: c.workspaces, BaseURL: a.BaseURL(), Clock: a.clock, Logger: a.logger,
	}); err != nil {
		return err
	}
	for _, build := range []func() error{a.buildProof, a.buildFederation, a.buildSCIM, a.buildAPILog, a.buildAgreement} {
		if err := build(); err != nil {
			return err
		}
	}
	a.buildPrivacy()
	return nil
}

// mailTypes are all kinds of mail that are ever sent.
func mailTypes() []mail.Type {
	return slices.Concat(identity.MailTypes(), workspace.MailTypes(), agreement.MailTypes(), notify.MailTypes(), status.MailTypes())
}

// buildPrivacy makes the privacy core. What it looks at is read when it looks, so that modules and routes that are made
// after it are seen.
func (a *App) buildPrivacy() {
	c := &a.core
	c.privacy = privacy.New(privacy.Deps{
		DB: a.control, UI: a.ui, Clock: a.clock, Logger: a.logger, Version: Version(),
		Sources: privacy.Sources{
			Databases: a.Databases(), Collections: a.Collections, Workspaces: c.workspaces, Plans: a.plans(),
			Routes: routeTable{a}, Audit: c.audit, Mail: c.mail, Payloads: payloads{a}, Keys: a.keys, Ages: c.identity, Facts: a.facts(), Agreements: c.agreement, Notices: notices{a}, Recipients: recipients{a},
		},
	})
	const everyNight, atThree = 24 * time.Hour, 3 * time.Hour
	queue.Every(a.queue, "privacy.sweep", privacy.DefaultSweepEvery, 0, func(ctx context.Context) error {
		if _, err := c.privacy.Sweep(ctx); err != nil {
			return err
		}
		for _, d := range a.Databases() { // what was deleted leaves the files as well
			if err := d.DB.Trim(ctx); err != nil {
				return err
			}
		}
		return nil
	}, queue.Options{})
	queue.Every(a.queue, "privacy.check", everyNight, atThree, func(ctx context.Context) error {
		_, err := c.privacy.RunAll(ctx)
		return err
	}, queue.Options{Timeout: time.Hour})
}

// notices are those of a module that is made later.
type notices struct{ a *App }

func (n notices) NoticeState(ctx context.Context) (privacy.NoticeState, error) {
	return n.a.core.status.NoticeState(ctx)
}

type recipients struct{ a *App }

func (r recipients) RecipientState(ctx context.Context) (privacy.RecipientState, error) {
	return r.a.core.notify.RecipientState(ctx)
}

// routeTable is the table of a Mux that is made later.
type routeTable struct{ a *App }

func (t routeTable) Table() []httpx.Route { return t.a.mux.Table() }

// facts are the settings in force that promises are about.
func (a *App) facts() privacy.Facts {
	f := privacy.Facts{
		Cookies: []http.Cookie{httpx.SessionCookieShape(a.cfg.Secure())},
		TLS:     privacy.TLSFact{Served: a.cfg.TLSCert != "", Minimum: tls.VersionTLS12, Public: strings.HasPrefix(a.cfg.BaseURL, "https://")},
	}
	a.mailFacts(&f)
	a.seriesFacts(&f)
	a.addSignInProviders(&f)
	return f
}
