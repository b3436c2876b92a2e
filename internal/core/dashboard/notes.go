package dashboard

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// The limits of what charts mark.
const (
	maxNoteText    = 500
	maxAnnotations = 500 // on one page
)

// Note is what somebody wrote about a moment or a span.
type Note struct {
	ID        kernel.ID        `json:"id"`
	Dashboard kernel.ID        `json:"dashboard_id,omitempty"` // empty: it is on all dashboards
	At        time.Time        `json:"at"`
	Until     time.Time        `json:"until,omitzero"`
	Text      string           `json:"text"`
	CreatedAt time.Time        `json:"created_at"`
	CreatedBy kernel.AccountID `json:"created_by,omitempty"`
}

func noteAAD(id kernel.ID) []byte { return []byte("dashboard/note/" + string(id)) }

// addNote stores a note; its text is sealed.
func (m *Module) addNote(ctx context.Context, ws kernel.WorkspaceID, n Note) (Note, error) {
	n.Text = strings.TrimSpace(n.Text)
	switch {
	case n.Text == "":
		return n, kernel.InvalidField("text", "Say what happened.")
	case len([]rune(n.Text)) > maxNoteText:
		return n, kernel.InvalidField("text", fmt.Sprintf("At most %d characters.", maxNoteText))
	case n.At.IsZero():
		return n, kernel.InvalidField("at", "Say when it happened.")
	case !n.Until.IsZero() && !n.Until.After(n.At):
		return n, kernel.InvalidField("until", "The end must be after the beginning.")
	}
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return n, err
	}
	n.CreatedAt = m.d.Clock()
	n.ID = kernel.NewID(n.CreatedAt)
	sealed, err := box.Seal([]byte(n.Text), noteAAD(n.ID))
	if err != nil {
		return n, err
	}
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO dashboard_notes (id, workspace_id, dashboard_id, at, until_at, text, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			n.ID, ws, nullable(n.Dashboard), kernel.Micros(n.At), kernel.Micros(n.Until), sealed, kernel.Micros(n.CreatedAt), nullable(n.CreatedBy))
		return err
	})
	return n, err
}

// removeNote deletes a note.
func (m *Module) removeNote(ctx context.Context, ws kernel.WorkspaceID, id string) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM dashboard_notes WHERE id = $1 AND workspace_id = $2`, id, ws)
		if err == nil && n == 0 {
			return kernel.Errorf(kernel.NotFound, "There is no such note.")
		}
		return err
	})
}

// notes reads the notes of a dashboard and those of all dashboards in a span, by time. Without a span it is all of them.
func (m *Module) notes(ctx context.Context, ws kernel.WorkspaceID, dashboard string, from, to time.Time) (out []Note, err error) {
	until := kernel.Micros(to)
	if until == 0 {
		until = 1<<62 - 1
	}
	rows, err := m.d.DB.Query(ctx, `SELECT id, dashboard_id, at, until_at, text, created_at, created_by FROM dashboard_notes
		WHERE workspace_id = $1 AND at <= $2 AND (at >= $3 OR until_at >= $3) AND ($4 = '' OR dashboard_id IS NULL OR dashboard_id = $4) ORDER BY at, id LIMIT 10000`,
		ws, until, kernel.Micros(from), dashboard)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var n Note
		var dash, by sql.NullString
		var at, end, created int64
		var sealed []byte
		if err := rows.Scan(&n.ID, &dash, &at, &end, &sealed, &created, &by); err != nil {
			return nil, err
		}
		text, err := box.Open(sealed, noteAAD(n.ID))
		if err != nil {
			return nil, err
		}
		n.Dashboard, n.CreatedBy, n.Text = kernel.ID(dash.String), kernel.AccountID(by.String), string(text)
		n.At, n.Until, n.CreatedAt = kernel.FromMicros(at), kernel.FromMicros(end), kernel.FromMicros(created)
		out = append(out, n)
	}
	return out, rows.Err()
}

// happened is everything that a dashboard's charts mark: what others know of, what its own queries find, and notes.
type happened struct {
	Annotation
	NoteID kernel.ID // of a note, which can be removed
}

// happenings asks everybody. Who cannot answer is named and the others are shown.
func (m *Module) happenings(ctx context.Context, sc scope, e env, s subject, hidden map[string]bool) (out []happened, problems []string) {
	for _, a := range m.annotators {
		list, err := a.Annotations(ctx, sc.ws, sc.span.From, sc.span.To)
		if err != nil {
			problems = append(problems, "Some events could not be read.")
			m.d.Logger.Error("annotations could not be read", "error", err)
		}
		for _, x := range list {
			out = append(out, happened{Annotation: x})
		}
	}
	for _, k := range s.D.Marks {
		if hidden[kindOfMark(k)] {
			out = append(out, happened{Annotation: Annotation{Kind: kindOfMark(k)}}) // so that it can be shown again
			continue
		}
		list, err := m.marked(ctx, sc, e, k)
		if err != nil {
			problems = append(problems, fmt.Sprintf("The marks %q cannot be found: %s", k.Name, kernel.AsError(err).Safe))
		}
		out = append(out, list...)
	}
	id := ""
	if s.Stored != nil {
		id = s.ID
	}
	notes, err := m.notes(ctx, sc.ws, cmp.Or(id, "-"), sc.span.From, sc.span.To)
	if err != nil {
		problems = append(problems, "Notes could not be read.")
		m.d.Logger.Error("notes could not be read", "error", err)
	}
	for _, n := range notes {
		out = append(out, happened{Annotation{At: n.At, Until: n.Until, Kind: "note", Text: n.Text}, n.ID})
	}
	slices.SortStableFunc(out, func(a, b happened) int { return a.At.Compare(b.At) })
	return out, problems
}

func kindOfMark(k Mark) string { return strings.ToLower(strings.TrimSpace(k.Name)) }

// marked finds the moments of a query: where a series begins to be there with a value other than 0.
func (m *Module) marked(ctx context.Context, sc scope, e env, k Mark) (out []happened, err error) {
	least, _ := model.ParseDuration(k.Step)
	step := sc.span.Step(600, time.Duration(least))
	at := e.at(sc.span, step)
	expr, err := at.query(k.Expr)
	if err != nil {
		return nil, err
	}
	res, err := m.d.Query.Range(ctx, sc.ws, expr, query.Span{From: sc.span.From, To: sc.span.To, Step: step}.Aligned())
	if err != nil {
		return nil, err
	}
	matrix, _ := res.Value.(promql.Matrix)
	sets := make([]labels.Labels, len(matrix))
	for i, s := range matrix {
		sets[i] = s.Metric
	}
	names := legends(cmp.Or(k.Text, k.Name), at, sets, k.Name)
	for i, s := range matrix {
		for _, a := range spells(s.Floats, step, k.ByValue) {
			a.Kind, a.Text = kindOfMark(k), names[i]
			if !a.At.Before(sc.span.From) && len(out) < maxAnnotations {
				out = append(out, happened{Annotation: a})
			}
		}
	}
	return out, nil
}

// spells are the times in which a series was there and not 0. One that was so from the first point on began earlier.
func spells(points []promql.FPoint, step time.Duration, byValue bool) (out []Annotation) {
	var last int64
	on := false
	seen := map[int64]bool{}
	for i, p := range points {
		if byValue {
			if at := int64(p.F); at > 0 && !seen[at] {
				seen[at] = true
				out = append(out, Annotation{At: time.UnixMilli(at).UTC()})
			}
			continue
		}
		gone := i > 0 && p.T-last > step.Milliseconds()
		if p.F != 0 && (!on || gone) {
			out = append(out, Annotation{At: time.UnixMilli(p.T).UTC()})
		}
		if on = p.F != 0; on && len(out) > 0 && p.T > out[len(out)-1].At.UnixMilli() {
			out[len(out)-1].Until = time.UnixMilli(p.T).UTC()
		}
		last = p.T
	}
	return out
}
