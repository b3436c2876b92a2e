package metrics

import (
	"context"
	"math"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

var workspaceField = privacy.Field{Name: "workspace_id", Category: privacy.Technical, Note: "whose it is"}

// Collections is the app's part of the data map; that of the samples themselves is told where the store is made.
func (m *Module) Collections() []privacy.Collection {
	base := privacy.Collection{Module: m.Name(), Where: privacy.ControlDB, Subjects: "nobody", LegalBasis: "contract", Promises: []string{"COL-8"}}
	return []privacy.Collection{m.hostCollection(base), m.tokenCollection(base), m.changeCollection(base), m.deployCollection(base), m.dropCollection(base), m.meaningCollection(base)}
}

func (m *Module) hostCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "hosts", "Hosts"
	c.Purpose, c.Retention = "to list the machines that report, and to see what changed on them", "until the host is removed, or its last sample has gone"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "id", Category: privacy.Technical}, {Name: "instance", Category: privacy.Telemetry, Note: "the label of its series"},
		{Name: "source", Category: privacy.Technical, Note: "who told of it"},
		{Name: "machine", Category: privacy.Technical, Note: "salted hash of the machine's id, made on the machine"},
		{Name: "name", Category: privacy.Telemetry}, {Name: "os", Category: privacy.Telemetry}, {Name: "platform", Category: privacy.Telemetry},
		{Name: "kernel", Category: privacy.Telemetry}, {Name: "arch", Category: privacy.Telemetry}, {Name: "cores", Category: privacy.Telemetry},
		{Name: "memory", Category: privacy.Telemetry}, {Name: "booted_at", Category: privacy.Telemetry}, {Name: "agent", Category: privacy.Telemetry, Note: "version"},
		{Name: "every", Category: privacy.Telemetry, Note: "seconds between samples"}, {Name: "labels", Category: privacy.Telemetry, Note: "that its agent adds"},
		{Name: "skew", Category: privacy.Telemetry, Note: "of its clock"}, {Name: "buffered", Category: privacy.Telemetry, Note: "what it has yet to send"},
		{Name: "key_id", Category: privacy.Technical, Note: "the API key that it reports with"},
		{Name: "first_seen_at", Category: privacy.Telemetry}, {Name: "last_seen_at", Category: privacy.Telemetry},
	}
	c.MaxAge, c.Export = m.d.MaxAge, privacy.Each(m.Hosts)
	return m.table("last_seen_at").Declare(c)
}

func (m *Module) tokenCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "host_tokens", "Tokens for enrolling hosts"
	c.Purpose, c.Retention = "to let one agent get a key", "a day; usable for an hour, once"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "token_hash", Category: privacy.Secret, Note: "SHA-256 of its 160 random bits"}, {Name: "id", Category: privacy.Technical},
		{Name: "created_by", Category: privacy.Technical, Note: "whose account made it"}, {Name: "created_at", Category: privacy.Technical},
		{Name: "expires_at", Category: privacy.Technical}, {Name: "used_at", Category: privacy.Technical},
		{Name: "instance", Category: privacy.Telemetry, Note: "the host that used it"},
	}
	c.MaxAge = privacy.Fixed(24 * time.Hour)
	c.NoExport = "of use to nobody: only a hash is stored, and it ends within an hour"
	return m.table("created_at").Declare(c)
}

func (m *Module) changeCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "host_changes", "Changes of hosts"
	c.Purpose, c.Retention = "to show restarts and new versions beside what they caused", "as long as metrics"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "id", Category: privacy.Technical}, {Name: "instance", Category: privacy.Telemetry}, {Name: "at", Category: privacy.Telemetry},
		{Name: "kind", Category: privacy.Telemetry, Note: "reboot, kernel or agent"}, {Name: "before", Category: privacy.Telemetry}, {Name: "after", Category: privacy.Telemetry},
	}
	c.MaxAge = m.d.MaxAge
	c.Export = privacy.Each(func(ctx context.Context, ws kernel.WorkspaceID) ([]Change, error) {
		return m.changes(ctx, ws, time.Time{}, m.d.Clock().Add(48*time.Hour), math.MaxInt32)
	})
	return m.table("at").Declare(c)
}

func (m *Module) deployCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "deploys", "Releases"
	c.Purpose, c.Retention = "to mark releases in charts", "as long as metrics"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "id", Category: privacy.Technical}, {Name: "at", Category: privacy.Telemetry}, {Name: "until", Category: privacy.Telemetry},
		{Name: "service", Category: privacy.Telemetry}, {Name: "version", Category: privacy.Telemetry}, {Name: "environment", Category: privacy.Telemetry},
		{Name: "text", Category: privacy.Telemetry, Note: "as the customer's pipeline sent it"}, {Name: "link", Category: privacy.Telemetry},
		{Name: "labels", Category: privacy.Telemetry}, {Name: "created_at", Category: privacy.Technical},
	}
	c.MaxAge = m.d.MaxAge
	c.Export = privacy.Each(func(ctx context.Context, ws kernel.WorkspaceID) ([]Deploy, error) {
		return m.deploys(ctx, ws, time.Time{}, m.d.Clock().Add(48*time.Hour), math.MaxInt32)
	})
	return m.table("created_at").Declare(c)
}

func (m *Module) dropCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "metric_drops", "Drop rules"
	c.Purpose, c.Retention = "to keep out series that the customer does not want", "until the rule is removed"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "id", Category: privacy.Technical}, {Name: "selector", Category: privacy.Settings}, {Name: "note", Category: privacy.Settings},
		{Name: "created_by", Category: privacy.Technical, Note: "whose account made it"}, {Name: "created_at", Category: privacy.Technical},
	}
	c.Export = privacy.Each(m.Drops)
	rows := m.table("created_at")
	rows.Erasing = func(tx *db.Tx, ws kernel.WorkspaceID) { tx.AfterCommit(func() { m.drops.forget(ws) }) }
	return rows.Declare(c)
}

func (m *Module) meaningCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "metric_meanings", "What metrics mean"
	c.Purpose, c.Retention = "to say beside a metric what it is", "as long as metrics, from when it was said last"
	c.Fields = []privacy.Field{workspaceField, {Name: "metric", Category: privacy.Telemetry, Note: "its name"}, {Name: "type", Category: privacy.Telemetry},
		{Name: "help", Category: privacy.Telemetry, Note: "as the sender says it"}, {Name: "unit", Category: privacy.Telemetry}, {Name: "seen_at", Category: privacy.Technical}}
	c.MaxAge = m.d.MaxAge
	return privacy.Table{DB: m.d.DB, Of: "workspace_id", At: "seen_at", Erasing: func(_ *db.Tx, ws kernel.WorkspaceID) { m.meanings.forget(ws) }}.Declare(c)
}

// table is one of the app's; at is when a row was made or last seen.
func (m *Module) table(at string) privacy.Table {
	return privacy.Table{DB: m.d.DB, Of: "workspace_id", At: at}
}
