package dashboard

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	rows := func(at string, c privacy.Collection) privacy.Collection {
		return privacy.Table{DB: m.d.DB, Of: "workspace_id", At: at}.Declare(c)
	}
	return []privacy.Collection{m.dashboardsCollection(), rows("saved_at", m.versionsCollection()), rows("created_at", m.notesCollection()),
		rows("created_at", m.embeddingCollection())}
}

func (m *Module) dashboardsCollection() privacy.Collection {
	// Only what was deleted has a time limit; its versions go with it.
	rows := privacy.Table{DB: m.d.DB, Of: "workspace_id", At: "deleted_at", Only: "deleted_at > 0"}
	return rows.Declare(privacy.Collection{
		Name: "dashboards", Module: m.Name(), Title: "Dashboards", Subjects: "nobody", Purpose: "to show metrics the way that people have arranged them",
		LegalBasis: "contract", Retention: "until 30 days after it was deleted, or until the workspace is erased", Where: privacy.ControlDB, Promises: []string{"COL-8"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which dashboard"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "title", Category: privacy.Settings, Note: "what people call it"},
			{Name: "tags", Category: privacy.Settings, Note: "words to find it by"},
			{Name: "panels", Category: privacy.Technical, Note: "how many panels it has"},
			{Name: "body", Category: privacy.Settings, Note: "panels, queries, variables"},
			{Name: "version", Category: privacy.Technical, Note: "how often it was saved"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
			{Name: "changed_at", Category: privacy.Technical, Note: "when it was saved last"},
			{Name: "changed_by", Category: privacy.Technical, Note: "whose account saved it last"},
			{Name: "deleted_at", Category: privacy.Technical, Note: "when it was deleted"},
		},
		Export: m.exportDashboards, MaxAge: privacy.Fixed(keptDeleted),
	})
}

func (m *Module) versionsCollection() privacy.Collection {
	return privacy.Collection{
		Name: "dashboard_versions", Module: m.Name(), Title: "Earlier versions of dashboards", Subjects: "nobody",
		Purpose: "to show what was changed and to undo it", LegalBasis: "contract", Retention: "the last 200 versions of each dashboard, as long as the dashboard",
		Where: privacy.ControlDB, Promises: []string{"COL-8"},
		Fields: []privacy.Field{
			{Name: "dashboard_id", Category: privacy.Technical, Note: "of which dashboard"},
			{Name: "version", Category: privacy.Technical, Note: "number of the save"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "body", Category: privacy.Settings, Note: "panels, queries, variables"},
			{Name: "note", Category: privacy.Settings, Note: "what the change was, in a few words"},
			{Name: "saved_at", Category: privacy.Technical, Note: "when"},
			{Name: "saved_by", Category: privacy.Technical, Note: "by whose account"},
		},
		Export: m.exportVersions,
	}
}

func (m *Module) notesCollection() privacy.Collection {
	return privacy.Collection{
		Name: "dashboard_notes", Module: m.Name(), Title: "Notes on dashboards", Subjects: "people whom a note names", Purpose: "to mark on charts what happened when",
		LegalBasis: "contract", Retention: "until somebody removes it, or the workspace is erased", Where: privacy.ControlDB, Promises: []string{"COL-8", "SEC-4"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which note"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "dashboard_id", Category: privacy.Technical, Note: "on which dashboard; none: on all"},
			{Name: "at", Category: privacy.Technical, Note: "the moment that it marks"},
			{Name: "until_at", Category: privacy.Technical, Note: "the end, of a span"},
			{Name: "text", Category: privacy.Content, Note: "what happened, sealed"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was written"},
			{Name: "created_by", Category: privacy.Technical, Note: "by whose account"},
		},
		Export: m.exportNotes,
	}
}

func (m *Module) embeddingCollection() privacy.Collection {
	return privacy.Collection{
		Name: "dashboard_embedding", Module: m.Name(), Title: "Embedding of panels", Subjects: "nobody", Purpose: "to show panels on a customer's own pages",
		LegalBasis: "contract", Retention: "until embedding is turned off, or the workspace is erased", Where: privacy.ControlDB, Promises: []string{"SEC-4"},
		Fields: []privacy.Field{
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "signing_key", Category: privacy.Secret, Note: "the key that tokens are signed with, sealed"},
			{Name: "generation", Category: privacy.Technical, Note: "how often the key was changed"},
			{Name: "origins", Category: privacy.Settings, Note: "the sites that may show panels"},
			{Name: "created_at", Category: privacy.Technical, Note: "when embedding was turned on"},
			{Name: "changed_at", Category: privacy.Technical, Note: "when it was changed last"},
		},
		Export: m.exportEmbedding,
	}
}

// exported is a dashboard in the export of a workspace.
type exported struct {
	Stored
	Deleted   *time.Time `json:"deleted_at,omitempty"`
	Dashboard rawJSON    `json:"dashboard"`
}

// rawJSON is stored JSON as it is.
type rawJSON string

// MarshalJSON writes it; text that is no JSON would be an error of the encoder.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func (m *Module) exportDashboards(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	for _, deleted := range []bool{false, true} {
		list, err := m.list(ctx, ws, deleted)
		if err != nil {
			return err
		}
		for _, s := range list {
			e := exported{Stored: s, Dashboard: rawJSON(s.body)}
			if deleted {
				e.Deleted = &s.DeletedAt
			}
			if err := item(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Module) exportVersions(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	for _, deleted := range []bool{false, true} {
		list, err := m.list(ctx, ws, deleted)
		if err != nil {
			return err
		}
		for _, s := range list {
			versions, err := m.versions(ctx, s.ID)
			if err != nil {
				return err
			}
			for _, v := range versions {
				if err := item(map[string]any{"dashboard_id": s.ID, "version": v.Number, "note": v.Note, "saved_at": v.SavedAt, "saved_by": v.SavedBy, "dashboard": rawJSON(v.body)}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *Module) exportNotes(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	notes, err := m.notes(ctx, ws, "", time.Time{}, time.Time{})
	for _, n := range notes {
		if err == nil {
			err = item(n)
		}
	}
	return err
}

func (m *Module) exportEmbedding(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	e, err := m.embedding(ctx, ws)
	if err != nil || e.Generation == 0 {
		return err
	}
	return item(map[string]any{"origins": e.Origins, "generation": e.Generation, "changed_at": e.ChangedAt})
}
