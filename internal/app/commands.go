package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
)

// Setup makes a verified owner, a workspace and an API key, before a server's first start or beside a running one.
func Setup(ctx context.Context, cfg config.Config, in access.Setup, options ...Option) (out access.SetupResult, err error) {
	err = beside(ctx, cfg, options, func(a *App) error {
		out, err = a.Setup(ctx, in)
		return err
	})
	return out, err
}

// Promises runs every check of a promise and stores the results.
func Promises(ctx context.Context, cfg config.Config, options ...Option) (report privacy.Report, err error) {
	err = beside(ctx, cfg, options, func(a *App) error {
		report, err = a.core.privacy.RunAll(ctx)
		return err
	})
	return report, err
}

// Audit verifies every chain of the audit log and writes their heads or, with the name of a chain ("instance", or a
// workspace's id), writes that one as JSON.
func Audit(ctx context.Context, cfg config.Config, chain string, w io.Writer, options ...Option) error {
	return beside(ctx, cfg, options, func(a *App) error {
		switch {
		case chain == audit.Instance:
			return a.core.audit.WriteJSON(ctx, w, audit.Filter{})
		case kernel.ValidID(chain):
			return a.core.audit.WriteJSON(ctx, w, audit.Filter{WorkspaceID: kernel.WorkspaceID(chain)})
		case chain != "":
			return fmt.Errorf("--chain: %q is neither %q nor the id of a workspace", chain, audit.Instance)
		}
		report, err := a.core.audit.Verify(ctx)
		if err == nil {
			err = report.WriteText(w)
		}
		if err == nil && len(report.Broken) > 0 {
			err = errors.New("the audit log was tampered with")
		}
		return err
	})
}

// beside runs f with an App that is no server.
func beside(ctx context.Context, cfg config.Config, options []Option, f func(*App) error) error {
	a, err := Open(ctx, cfg, options...)
	if err != nil {
		return err
	}
	return errors.Join(f(a), a.Stop(context.WithoutCancel(ctx)))
}

// Setup is the command's work on an open App.
func (a *App) Setup(ctx context.Context, in access.Setup) (access.SetupResult, error) {
	return a.core.access.Setup(ctx, in)
}
