package metrics

import (
	"context"
	"math"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

const where = "control database"

var workspaceField = privacy.Field{Name: "workspace_id", Category: privacy.Technical, Note: "whose it is"}

// Collections is the app's part of the data map; that of the samples themselves is told where the store is made.
func (m *Module) Collections() []privacy.Collection {
	base := privacy.Collection{Module: m.Name(), Where: where, Subjects: "nobody", LegalBasis: "contract", Promises: []string{"COL-8"}}
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
	c.Oldest, c.Count, c.Sweep, c.MaxAge, c.Erase = m.oldest("hosts", "last_seen_at"), m.counter("hosts"), m.sweeper("hosts", "last_seen_at"), m.d.MaxAge, m.eraser("hosts")
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
		list, err := m.Hosts(ctx, ws)
		return exportAll(list, err, item)
	}
	return c
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
	c.Oldest, c.Count, c.Erase = m.oldest("host_tokens", "created_at"), m.counter("host_tokens"), m.eraser("host_tokens")
	c.Sweep, c.MaxAge = m.sweeper("host_tokens", "created_at"), privacy.Fixed(24*time.Hour)
	c.NoExport = "of use to nobody: only a hash is stored, and it ends within an hour"
	return c
}

func (m *Module) changeCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "host_changes", "Changes of hosts"
	c.Purpose, c.Retention = "to show restarts and new versions beside what they caused", "as long as metrics"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "id", Category: privacy.Technical}, {Name: "instance", Category: privacy.Telemetry}, {Name: "at", Category: privacy.Telemetry},
		{Name: "kind", Category: privacy.Telemetry, Note: "reboot, kernel or agent"}, {Name: "before", Category: privacy.Telemetry}, {Name: "after", Category: privacy.Telemetry},
	}
	c.Oldest, c.Count, c.Sweep, c.MaxAge, c.Erase = m.oldest("host_changes", "at"), m.counter("host_changes"), m.sweeper("host_changes", "at"), m.d.MaxAge, m.eraser("host_changes")
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
		list, err := m.changes(ctx, ws, time.Time{}, m.d.Clock().Add(48*time.Hour), math.MaxInt32)
		return exportAll(list, err, item)
	}
	return c
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
	c.Oldest, c.Count, c.Sweep, c.MaxAge, c.Erase = m.oldest("deploys", "created_at"), m.counter("deploys"), m.sweeper("deploys", "created_at"), m.d.MaxAge, m.eraser("deploys")
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
		list, err := m.deploys(ctx, ws, time.Time{}, m.d.Clock().Add(48*time.Hour), math.MaxInt32)
		return exportAll(list, err, item)
	}
	return c
}

func (m *Module) dropCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "metric_drops", "Drop rules"
	c.Purpose, c.Retention = "to keep out series that the customer does not want", "until the rule is removed"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "id", Category: privacy.Technical}, {Name: "selector", Category: privacy.Settings}, {Name: "note", Category: privacy.Settings},
		{Name: "created_by", Category: privacy.Technical, Note: "whose account made it"}, {Name: "created_at", Category: privacy.Technical},
	}
	c.Oldest, c.Count = m.oldest("metric_drops", "created_at"), m.counter("metric_drops")
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
		list, err := m.Drops(ctx, ws)
		return exportAll(list, err, item)
	}
	erase := m.eraser("metric_drops")
	c.Erase = func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
		n, err := erase(ctx, ws)
		m.drops.forget(ws)
		return n, err
	}
	return c
}

func (m *Module) meaningCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "metric_meanings", "What metrics mean"
	c.Purpose, c.Retention = "to say beside a metric what it is", "as long as metrics, from when it was said last"
	c.Fields = []privacy.Field{workspaceField, {Name: "metric", Category: privacy.Telemetry, Note: "its name"}, {Name: "type", Category: privacy.Telemetry},
		{Name: "help", Category: privacy.Telemetry, Note: "as the sender says it"}, {Name: "unit", Category: privacy.Telemetry}, {Name: "seen_at", Category: privacy.Technical}}
	c.MaxAge = m.d.MaxAge
	return privacy.Table{DB: m.d.DB, Of: "workspace_id", At: "seen_at", Erasing: func(_ *db.Tx, ws kernel.WorkspaceID) { m.meanings.forget(ws) }}.Declare(c)
}

func exportAll[T any](list []T, err error, item func(any) error) error {
	for _, v := range list {
		if err := item(v); err != nil {
			return err
		}
	}
	return err
}

func (m *Module) oldest(table, column string) func(context.Context, kernel.WorkspaceID) (time.Time, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		var us int64
		err := m.d.DB.QueryRow(ctx, `SELECT coalesce(min(`+column+`), 0) FROM `+table+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&us)
		return kernel.FromMicros(us), err
	}
}

func (m *Module) counter(table string) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		err = m.d.DB.QueryRow(ctx, `SELECT count(*) FROM `+table+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&n)
		return n, err
	}
}

func (m *Module) sweeper(table, column string) func(context.Context, kernel.WorkspaceID, time.Time) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return m.delete(ctx, `DELETE FROM `+table+` WHERE ($1 = '' OR workspace_id = $1) AND `+column+` < $2`, string(ws), kernel.Micros(before))
	}
}

func (m *Module) eraser(table string) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
		return m.delete(ctx, `DELETE FROM `+table+` WHERE workspace_id = $1`, ws)
	}
}

func (m *Module) delete(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, text, args...)
		return err
	})
	return n, err
}
