package alert

import (
	"context"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

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
func (m *Module) declare(at string, c privacy.Collection) privacy.Collection {
	c.Module, c.Where, c.Subjects, c.LegalBasis, c.Promises = "alert", privacy.ControlDB, "nobody", "contract", []string{"COL-8"}
	if slices.ContainsFunc(c.Fields, func(f privacy.Field) bool { return f.Category == privacy.Content }) {
		c.Subjects, c.Promises = "whoever people name in what they write, and alerts in what they tell", append(c.Promises, "SEC-4")
	}
	c.Fields = append([]privacy.Field{technical("workspace_id", "of which workspace")}, c.Fields...)
	rows := privacy.Table{DB: m.d.DB, Of: "workspace_id", At: at}
	if c.Name == "alerts" {
		rows.Only = `state = 'resolved'` // an alert that is not over stays, however old
	}
	return rows.Declare(c)
}

func (m *Module) remove(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, text, args...)
		return err
	})
	return n, err
}

func (m *Module) stateCollection() privacy.Collection {
	return m.declare("updated_at", privacy.Collection{
		Name: "alert_workspaces", Title: "Alert routing", Purpose: "to tell the right people of alerts, and to know which server evaluates the rules",
		Retention: "until the workspace is erased",
		Fields: []privacy.Field{
			technical("rev", "counts changes"), technical("rules", "how many rules are on"),
			settings("routing", "which alerts go to which channels"), technical("updated_at", "when it changed"),
			technical("holder", "which server evaluates"), technical("lease_until", "until when"),
			content("status", "what the rules found last, for other servers to show, sealed"),
		},
		Export: func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
			r, err := m.ReadRouting(ctx, ws)
			if err != nil {
				return err
			}
			return item(r)
		},
	})
}

func (m *Module) groupsCollection() privacy.Collection {
	return m.declare("", privacy.Collection{
		Name: "alert_groups", Title: "Groups of alert rules", Purpose: "to evaluate the rules of a group together, as often as was asked for",
		Retention: "until the workspace is erased",
		Fields:    []privacy.Field{settings("name", "what it is called"), settings("position", "its place"), settings("body", "interval, offset, limit, labels")},
		Export: func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
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
		},
	})
}

// exportedRule is a rule as an export has it.
type exportedRule struct {
	ID    kernel.ID `json:"id"`
	Group string    `json:"group"`
	Rule
	Pack      string    `json:"pack,omitempty"`
	Enabled   bool      `json:"enabled"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by,omitempty"`
	DeletedAt time.Time `json:"deleted_at,omitzero"`
}

func exportRule(r Rule) any {
	return exportedRule{r.ID, r.Group, r, r.Pack, r.Enabled, r.Version, r.CreatedAt, r.UpdatedAt, r.UpdatedBy, r.DeletedAt}
}

func (m *Module) rulesCollection() privacy.Collection {
	return m.declare("created_at", privacy.Collection{
		Name: "alert_rules", Title: "Alert rules", Purpose: "to watch what the workspace wants watched",
		Retention: "until the workspace is erased; a deleted rule 30 days",
		Fields: []privacy.Field{
			technical("id", "which rule"), settings("group_name", "its group"), settings("position", "its place in the group"), settings("name", "what it is called"),
			settings("body", "expression, limits, labels, texts"), settings("pack", "the pack that brought it"), settings("enabled", "whether it is on"),
			technical("version", "counts changes"), technical("created_at", "when"), technical("updated_at", "when it changed"),
			technical("updated_by", "whose account changed it"), technical("deleted_at", "when it was deleted"),
		},
		Export: privacy.EachAs(func(ctx context.Context, ws kernel.WorkspaceID) ([]Rule, error) {
			return m.selectRules(ctx, `WHERE r.workspace_id = $1 ORDER BY r.group_name, r.position, r.id`, string(ws))
		}, exportRule),
	})
}

func (m *Module) versionsCollection() privacy.Collection {
	return m.declare("created_at", privacy.Collection{
		Name: "alert_rule_versions", Title: "Past versions of alert rules", Purpose: "to see what changed, and to go back",
		Retention: "as long as the rule",
		Fields: []privacy.Field{
			technical("rule_id", "of which rule"), technical("version", "its number"), settings("body", "the rule as it was"),
			technical("created_at", "when"), technical("created_by", "whose account made it"),
		},
	})
}

func (m *Module) alertsCollection() privacy.Collection {
	return m.declare("started_at", privacy.Collection{
		Name: "alerts", Title: "Alerts", Purpose: "to show what was wrong, when, and who took care of it",
		Retention: "one year after the alert",
		Fields: []privacy.Field{
			technical("id", "which alert"), technical("fingerprint", "the same for the same rule and labels"), technical("rule_id", "of which rule"),
			settings("name", "what the rule is called"), settings("severity", "how bad it is"), telemetry("state", "pending, firing, resolved"),
			telemetry("labels", "where it was found"), content("detail", "the rule's texts as they were filled in, and what stood behind it, sealed"),
			telemetry("value", "what was measured"), telemetry("started_at", "since when"), telemetry("fired_at", "when it fired"), telemetry("resolved_at", "when it was over"),
			technical("acked_at", "when somebody took care of it"), technical("acked_by", "whose account did"), content("ack_note", "what was noted, sealed"),
		},
		MaxAge: privacy.Fixed(historyFor), Export: m.exportAlerts,
	})
}

func (m *Module) noticesCollection() privacy.Collection {
	return m.declare("created_at", privacy.Collection{
		Name: "alert_notices", Title: "Log of alert messages", Purpose: "not to send the same message again",
		Retention: "5 days",
		Fields: []privacy.Field{
			technical("notice_key", "which group of alerts on which route"), telemetry("entry", "labels of the group, what was said and when"), technical("created_at", "when"),
		},
		MaxAge: privacy.Fixed(noticesKept),
	})
}

func (m *Module) silencesCollection() privacy.Collection {
	return m.declare("ends_at", privacy.Collection{
		Name: "alert_silences", Title: "Silences", Purpose: "to keep quiet about what is known",
		Retention: "90 days after the end, a year and 90 days after the beginning at most",
		Fields: []privacy.Field{
			technical("id", "which silence"), settings("matchers", "which alerts"), content("comment", "why, sealed"), settings("starts_at", "from when"),
			settings("ends_at", "until when"), technical("created_at", "when it was made"), technical("created_by", "whose account made it"),
		},
		MaxAge: privacy.Fixed(muteKept),
		Export: privacy.EachAs(func(ctx context.Context, ws kernel.WorkspaceID) ([]Silence, error) {
			return m.Silences(ctx, ws, time.Time{})
		}, func(s Silence) any { return silenceJSON(s, m.d.Clock()) }),
	})
}

func (m *Module) windowsCollection() privacy.Collection {
	return m.declare("ends_at", privacy.Collection{
		Name: "alert_windows", Title: "Maintenance windows", Purpose: "to keep quiet during planned work",
		Retention: "90 days after the last time; a deleted one 30 days",
		Fields: []privacy.Field{
			technical("id", "which window"), content("name", "what is done, sealed"), settings("matchers", "which alerts"), settings("body", "when, how long, how often"),
			settings("ends_at", "when it is over for good"), technical("deleted_at", "when it was deleted"), technical("created_at", "when it was made"), technical("created_by", "whose account made it"),
		},
		MaxAge: privacy.Fixed(muteKept),
		Export: privacy.EachAs(func(ctx context.Context, ws kernel.WorkspaceID) ([]Window, error) {
			return m.selectWindows(ctx, ws, `TRUE`)
		}, exportWindow),
	})
}

func (m *Module) exportAlerts(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	return privacy.EachAs(func(ctx context.Context, ws kernel.WorkspaceID) ([]Alert, error) {
		return m.selectAlerts(ctx, `WHERE h.workspace_id = $1 ORDER BY h.id`, string(ws))
	}, func(a Alert) any { return alertJSON(ws, a) })(ctx, ws, item)
}

func exportWindow(w Window) any {
	out := map[string]any{"id": w.ID, "name": w.Name, "matchers": w.Matchers, "start": w.Start, "lasts": w.Lasts.String(),
		"rule": w.Rule, "zone": w.Zone, "created_at": w.CreatedAt, "created_by": w.CreatedBy}
	if !w.DeletedAt.IsZero() {
		out["deleted_at"] = w.DeletedAt
	}
	return out
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
