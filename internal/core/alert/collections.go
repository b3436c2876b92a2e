package alert

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

const controlDB = "control database"

// historyFor is how long alerts that are over are kept.
const historyFor = 365 * 24 * time.Hour

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{m.stateCollection(), m.groupsCollection(), m.rulesCollection(), m.versionsCollection(), m.alertsCollection(),
		m.noticesCollection(), m.silencesCollection(), m.windowsCollection()}
}

func technical(name, note string) privacy.Field {
	return privacy.Field{Name: name, Category: privacy.Technical, Note: note}
}

func settings(name, note string) privacy.Field {
	return privacy.Field{Name: name, Category: privacy.Settings, Note: note}
}

func content(name, note string) privacy.Field {
	return privacy.Field{Name: name, Category: privacy.Content, Note: note}
}

func telemetry(name, note string) privacy.Field {
	return privacy.Field{Name: name, Category: privacy.Telemetry, Note: note}
}

// declare fills in what all tables of the module have in common. at is the column that an item's age is read from.
func (m *Module) declare(c privacy.Collection, at string) privacy.Collection {
	c.Module, c.Where, c.Subjects, c.LegalBasis, c.Promises = "alert", controlDB, "nobody", "contract", []string{"COL-8"}
	if slices.ContainsFunc(c.Fields, func(f privacy.Field) bool { return f.Category == privacy.Content }) {
		c.Subjects, c.Promises = "whoever people name in what they write, and alerts in what they tell", append(c.Promises, "SEC-4")
	}
	c.Fields = append([]privacy.Field{technical("workspace_id", "of which workspace")}, c.Fields...)
	c.Oldest = func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		var us int64
		err := m.d.DB.QueryRow(ctx, `SELECT coalesce(min(`+at+`), 0) FROM `+c.Name+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&us)
		return kernel.FromMicros(us), err
	}
	c.Count = func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		err = m.d.DB.QueryRow(ctx, `SELECT count(*) FROM `+c.Name+` WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&n)
		return n, err
	}
	c.Erase = func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
		return m.remove(ctx, `DELETE FROM `+c.Name+` WHERE workspace_id = $1`, string(ws))
	}
	return c
}

func (m *Module) remove(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, text, args...)
		return err
	})
	return n, err
}

func (m *Module) stateCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alert_workspaces", Title: "Alert routing", Purpose: "to tell the right people of alerts, and to know which server evaluates the rules",
		Retention: "until the workspace is erased",
		Fields: []privacy.Field{
			technical("rev", "counts changes"), technical("rules", "how many rules are on"),
			settings("routing", "which alerts go to which channels"), technical("updated_at", "when it changed"),
			technical("holder", "which server evaluates"), technical("lease_until", "until when"),
			content("status", "what the rules found last, for other servers to show, sealed"),
		},
	}, "updated_at")
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		r, err := m.ReadRouting(ctx, ws)
		if err != nil {
			return err
		}
		return item(r)
	}
	return c
}

func (m *Module) groupsCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alert_groups", Title: "Groups of alert rules", Purpose: "to evaluate the rules of a group together, as often as was asked for",
		Retention: "until the workspace is erased",
		Fields:    []privacy.Field{settings("name", "what it is called"), settings("position", "its place"), settings("body", "interval, offset, limit, labels")},
	}, "0")
	c.Oldest = func(context.Context, kernel.WorkspaceID) (time.Time, error) { return time.Time{}, nil } // settings have no age
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		groups, err := m.Groups(ctx, ws)
		for name, g := range groups {
			if err := item(struct {
				Name string `json:"name"`
				Group
			}{name, g}); err != nil {
				return err
			}
		}
		return err
	}
	return c
}

// exportedRule is a rule as an export has it.
type exportedRule struct {
	ID    kernel.ID `json:"id"`
	Group string    `json:"group"`
	Rule
	Pack      string     `json:"pack,omitempty"`
	Enabled   bool       `json:"enabled"`
	Version   int        `json:"version"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	UpdatedBy string     `json:"updated_by,omitempty"`
	DeletedAt *time.Time `json:"deleted_at,omitempty"`
}

func orNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (m *Module) rulesCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alert_rules", Title: "Alert rules", Purpose: "to watch what the workspace wants watched",
		Retention: "until the workspace is erased; a deleted rule 30 days",
		Fields: []privacy.Field{
			technical("id", "which rule"), settings("group_name", "its group"), settings("position", "its place in the group"), settings("name", "what it is called"),
			settings("body", "expression, limits, labels, texts"), settings("pack", "the pack that brought it"), settings("enabled", "whether it is on"),
			technical("version", "counts changes"), technical("created_at", "when"), technical("updated_at", "when it changed"),
			technical("updated_by", "whose account changed it"), technical("deleted_at", "when it was deleted"),
		},
	}, "created_at")
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		list, err := m.selectRules(ctx, `WHERE r.workspace_id = $1 ORDER BY r.group_name, r.position, r.id`, string(ws))
		for _, r := range list {
			if err := item(exportedRule{r.ID, r.Group, r, r.Pack, r.Enabled, r.Version, r.CreatedAt, r.UpdatedAt, r.UpdatedBy, orNone(r.DeletedAt)}); err != nil {
				return err
			}
		}
		return err
	}
	return c
}

func (m *Module) versionsCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alert_rule_versions", Title: "Past versions of alert rules", Purpose: "to see what changed, and to go back",
		Retention: "as long as the rule",
		Fields: []privacy.Field{
			technical("rule_id", "of which rule"), technical("version", "its number"), settings("body", "the rule as it was"),
			technical("created_at", "when"), technical("created_by", "whose account made it"),
		},
	}, "created_at")
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		rows, err := m.d.DB.Query(ctx, `SELECT rule_id, version, body, created_at FROM alert_rule_versions WHERE workspace_id = $1 ORDER BY rule_id, version`, string(ws))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var out struct {
				RuleID    string    `json:"rule_id"`
				Version   int       `json:"version"`
				Rule      string    `json:"rule"`
				CreatedAt time.Time `json:"created_at"`
			}
			var at int64
			if err := rows.Scan(&out.RuleID, &out.Version, &out.Rule, &at); err != nil {
				return err
			}
			out.CreatedAt = kernel.FromMicros(at)
			if err := item(out); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	return c
}

func (m *Module) alertsCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alerts", Title: "Alerts", Purpose: "to show what was wrong, when, and who took care of it",
		Retention: "one year after the alert",
		Fields: []privacy.Field{
			technical("id", "which alert"), technical("fingerprint", "the same for the same rule and labels"), technical("rule_id", "of which rule"),
			settings("name", "what the rule is called"), settings("severity", "how bad it is"), telemetry("state", "pending, firing, resolved"),
			telemetry("labels", "where it was found"), content("detail", "the rule's texts as they were filled in, and what stood behind it, sealed"),
			telemetry("value", "what was measured"), telemetry("started_at", "since when"), telemetry("fired_at", "when it fired"), telemetry("resolved_at", "when it was over"),
			technical("acked_at", "when somebody took care of it"), technical("acked_by", "whose account did"), content("ack_note", "what was noted, sealed"),
		},
	}, "started_at")
	c.MaxAge, c.Sweep = privacy.Fixed(historyFor), func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return m.remove(ctx, `DELETE FROM alerts WHERE ($1 = '' OR workspace_id = $1) AND started_at < $2 AND state = 'resolved'`, string(ws), kernel.Micros(before))
	}
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		list, err := m.selectAlerts(ctx, `WHERE h.workspace_id = $1 ORDER BY h.id`, string(ws))
		for _, a := range list {
			if err := item(alertJSON(ws, a)); err != nil {
				return err
			}
		}
		return err
	}
	return c
}

func (m *Module) noticesCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alert_notices", Title: "Log of alert messages", Purpose: "not to send the same message again",
		Retention: "5 days",
		Fields: []privacy.Field{
			technical("notice_key", "which group of alerts on which route"), telemetry("entry", "labels of the group, what was said and when"), technical("created_at", "when"),
		},
	}, "created_at")
	c.MaxAge, c.Sweep = privacy.Fixed(noticesKept), func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return m.remove(ctx, `DELETE FROM alert_notices WHERE ($1 = '' OR workspace_id = $1) AND created_at < $2`, string(ws), kernel.Micros(before))
	}
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		rows, err := m.d.DB.Query(ctx, `SELECT notice_key, entry, created_at FROM alert_notices WHERE workspace_id = $1 ORDER BY notice_key`, string(ws))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key string
			var entry []byte
			var at int64
			if err := rows.Scan(&key, &entry, &at); err != nil {
				return err
			}
			if err := item(map[string]any{"key": key, "entry": hex.EncodeToString(entry), "created_at": kernel.FromMicros(at)}); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	return c
}

func (m *Module) silencesCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alert_silences", Title: "Silences", Purpose: "to keep quiet about what is known",
		Retention: "90 days after the end, a year and 90 days after the beginning at most",
		Fields: []privacy.Field{
			technical("id", "which silence"), settings("matchers", "which alerts"), content("comment", "why, sealed"), settings("starts_at", "from when"),
			settings("ends_at", "until when"), technical("created_at", "when it was made"), technical("created_by", "whose account made it"),
		},
	}, "ends_at")
	c.MaxAge, c.Sweep = privacy.Fixed(muteKept), func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return m.remove(ctx, `DELETE FROM alert_silences WHERE ($1 = '' OR workspace_id = $1) AND ends_at < $2`, string(ws), kernel.Micros(before))
	}
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		list, err := m.Silences(ctx, ws, time.Time{})
		for _, s := range list {
			if err := item(silenceJSON(s, m.d.Clock())); err != nil {
				return err
			}
		}
		return err
	}
	return c
}

func (m *Module) windowsCollection() privacy.Collection {
	c := m.declare(privacy.Collection{
		Name: "alert_windows", Title: "Maintenance windows", Purpose: "to keep quiet during planned work",
		Retention: "90 days after the last time; a deleted one 30 days",
		Fields: []privacy.Field{
			technical("id", "which window"), content("name", "what is done, sealed"), settings("matchers", "which alerts"), settings("body", "when, how long, how often"),
			settings("ends_at", "when it is over for good"), technical("deleted_at", "when it was deleted"), technical("created_at", "when it was made"), technical("created_by", "whose account made it"),
		},
	}, "ends_at")
	c.MaxAge, c.Sweep = privacy.Fixed(muteKept), func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return m.remove(ctx, `DELETE FROM alert_windows WHERE ($1 = '' OR workspace_id = $1) AND ends_at < $2`, string(ws), kernel.Micros(before))
	}
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		list, err := m.selectWindows(ctx, ws, `TRUE`)
		for _, w := range list {
			if err := item(map[string]any{"id": w.ID, "name": w.Name, "matchers": w.Matchers, "start": w.Start, "lasts": w.Lasts.String(),
				"rule": w.Rule, "zone": w.Zone, "created_at": w.CreatedAt, "created_by": w.CreatedBy, "deleted_at": orNone(w.DeletedAt)}); err != nil {
				return err
			}
		}
		return err
	}
	return c
}

// purge removes what was deleted long enough ago, with its versions.
func (m *Module) purge(ctx context.Context) error {
	before := kernel.Micros(m.d.Clock().Add(-deletedFor))
	for _, table := range []string{"alert_rules", "alert_windows"} {
		if _, err := m.remove(ctx, `DELETE FROM `+table+` WHERE deleted_at > 0 AND deleted_at < $1`, before); err != nil {
			return err
		}
	}
	return nil
}
