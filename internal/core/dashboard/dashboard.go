// Package dashboard shows series: pages of panels that people make, that apps bring, or that were imported from Grafana,
// and the explore page for single queries. Panels ask core/query; nothing else reads series.
package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/internal/ui"
)

// Annotation is a moment or a span that panels mark: a deploy, an alert, a reboot.
type Annotation struct {
	At, Until time.Time // Until is zero for a moment
	Kind      string    // "deploy", "alert", "reboot", "note"
	Text      string
	Href      string // of a page of ours; empty: none
	Labels    map[string]string
}

// Annotator finds annotations of a workspace in a span.
type Annotator interface {
	Annotations(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time) ([]Annotation, error)
}

// File is a dashboard that an app brings, as JSON in the format of this package.
type File struct {
	Key  string // "jobs/overview"
	JSON []byte
}

// Deps is what the module needs.
type Deps struct {
	DB      *db.DB
	UI      *ui.UI
	Keys    *seal.Keys // seals notes and the key that tokens for embedding are signed with
	Query   *query.Module
	Dir     string // of dashboards as files (--dashboards); empty: none
	BaseURL func() string
	Clock   kernel.Clock
	Logger  *slog.Logger
	ByToken func(ctx context.Context, token string) (httpx.Actor, error)
	// People are the names of a workspace's members, for its history.
	People func(ctx context.Context, ws kernel.WorkspaceID) (map[kernel.AccountID]string, error)
	// Audit writes a change to the audit log of the workspace that the request is in.
	Audit func(ctx context.Context, action, target, detail string) error
}

// Module is the dashboards.
type Module struct {
	d          Deps
	pages      *ui.Pages
	annotators []Annotator
	tracers    []Tracer
	files      []File
	parsed     func() []found // what apps bring, read once
	folder     *folder
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Query == nil || d.UI == nil || d.Keys == nil {
		return nil, errors.New("dashboard: DB, Query, UI and Keys are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Audit == nil {
		d.Audit = func(context.Context, string, string, string) error { return nil }
	}
	if d.People == nil {
		d.People = func(context.Context, kernel.WorkspaceID) (map[kernel.AccountID]string, error) { return nil, nil }
	}
	pages, err := d.UI.Pages(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	m := &Module{d: d, pages: pages, folder: &folder{dir: d.Dir, clock: d.Clock, logger: d.Logger}}
	m.parsed = sync.OnceValue(func() []found { return parseFiles(m.files) })
	return m, nil
}

// Name implements app.Module.
func (m *Module) Name() string { return "dashboard" }

// UseAnnotators adds those who know what happened when. It must be called before Start.
func (m *Module) UseAnnotators(a ...Annotator) { m.annotators = append(m.annotators, a...) }

// UseFiles adds dashboards that apps bring. It must be called before Start.
func (m *Module) UseFiles(f ...File) { m.files = append(m.files, f...) }
