package privacy

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// ControlDB is where everything is kept that is not about background jobs.
const ControlDB = "control database"

// OfPerson is the NoExport and NoErase of what goes with an account.
const OfPerson = "it belongs to a person, not to a workspace"

// Table knows how the rows of a table are counted, swept, erased and exported, so that a module need not write it anew
// for each:
//
//	privacy.Table{DB: m.db, Of: "workspace_id", At: "created_at"}.Declare(privacy.Collection{Name: "hosts", …})
type Table struct {
	DB *db.DB
	Of string // the column with the workspace; empty: rows belong to none
	At string // the column, in microseconds, from which a row's age is counted; empty: rows have no age

	// Only is SQL about a row: only those have an age and are swept. Empty: all.
	Only string
	// Ended is SQL about a row that may go before its time. $3 is the moment that lies EndedFor before now.
	Ended    string
	EndedFor time.Duration

	// Erasing is called in the transaction that erases a workspace's rows, for what is remembered of them elsewhere.
	Erasing func(tx *db.Tx, ws kernel.WorkspaceID)
}

// Declare adds to a declaration what it leaves out: Count always; Oldest where rows have an age; Sweep where there is a
// MaxAge; Erase and Export unless NoErase and NoExport say why not. What it brings itself stays.
//
// Exported are the declared fields, without secrets. Content is sealed, so a table with some has to bring its own Export.
func (t Table) Declare(c Collection) Collection {
	if c.Count == nil {
		c.Count = t.count(c.Name)
	}
	if c.Oldest == nil && t.At != "" {
		c.Oldest = t.oldest(c.Name)
	}
	if c.Sweep == nil && c.MaxAge != nil {
		c.Sweep = t.sweep(c.Name)
	}
	if c.Erase == nil && c.NoErase == "" {
		c.Erase = t.erase(c.Name)
	}
	sealed := slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Category == Content })
	if c.Export == nil && c.NoExport == "" && !sealed {
		c.Export = t.export(c.Name, c.Fields)
	}
	return c
}

// of is SQL for the rows of a workspace, $1, or with an empty one for all. It says false where there can be none.
func (t Table) of(ws kernel.WorkspaceID) (string, bool) {
	if ws == "" {
		return `$1 = ''`, true
	}
	return t.Of + ` = $1`, t.Of != ""
}

// aged is SQL for those that have an age.
func (t Table) aged() string {
	if t.Only == "" {
		return ""
	}
	return ` AND (` + t.Only + `)`
}

func (t Table) count(name string) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		if of, ok := t.of(ws); ok {
			err = t.DB.QueryRow(ctx, `SELECT count(*) FROM `+name+` WHERE `+of, string(ws)).Scan(&n)
		}
		return n, err
	}
}

func (t Table) oldest(name string) func(context.Context, kernel.WorkspaceID) (time.Time, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		of, ok := t.of(ws)
		if !ok {
			return time.Time{}, nil
		}
		var at int64
		err := t.DB.QueryRow(ctx, `SELECT coalesce(min(`+t.At+`), 0) FROM `+name+` WHERE `+of+t.aged(), string(ws)).Scan(&at)
		return kernel.FromMicros(at), err
	}
}

func (t Table) sweep(name string) func(context.Context, kernel.WorkspaceID, time.Time) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (n int64, err error) {
		of, ok := t.of(ws)
		if !ok {
			return 0, nil
		}
		err = t.DB.Tx(ctx, func(tx *db.Tx) error {
			args := []any{string(ws), kernel.Micros(before)}
			old := t.At + ` < $2`
			if t.Ended != "" {
				old += ` OR ` + t.Ended
				args = append(args, kernel.Micros(tx.Now().Add(-t.EndedFor)))
			}
			n, err = tx.Exec(ctx, `DELETE FROM `+name+` WHERE `+of+t.aged()+` AND (`+old+`)`, args...)
			return err
		})
		return n, err
	}
}

func (t Table) erase(name string) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
		if ws == "" || t.Of == "" {
			return 0, nil
		}
		err = t.DB.Tx(ctx, func(tx *db.Tx) error {
			if t.Erasing != nil {
				t.Erasing(tx, ws)
			}
			n, err = tx.Exec(ctx, `DELETE FROM `+name+` WHERE `+t.Of+` = $1`, string(ws))
			return err
		})
		return n, err
	}
}

func (t Table) export(name string, fields []Field) func(context.Context, kernel.WorkspaceID, func(any) error) error {
	var columns []string
	for _, f := range fields {
		if f.Category != Secret {
			columns = append(columns, f.Name)
		}
	}
	list := strings.Join(columns, ", ")
	return func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		of, ok := t.of(ws)
		if !ok {
			return nil
		}
		rows, err := t.DB.Query(ctx, `SELECT `+list+` FROM `+name+` WHERE `+of+` ORDER BY `+list, string(ws))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			row, err := exportRow(rows, columns)
			if err == nil {
				err = item(row)
			}
			if err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func exportRow(rows interface{ Scan(...any) error }, columns []string) (map[string]any, error) {
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(columns))
	for i, name := range columns {
		out[name] = exportValue(name, values[i])
	}
	return out, nil
}

// exportValue writes a time as people do. In all tables a column called at, or something with _at, is one, and 0 is none.
func exportValue(column string, v any) any {
	us, number := v.(int64)
	if !number || column != "at" && !strings.HasSuffix(column, "_at") {
		return v
	}
	if us == 0 {
		return nil
	}
	return kernel.FromMicros(us)
}

// Each is a Collection.Export of what a list has.
func Each[T any](list func(context.Context, kernel.WorkspaceID) ([]T, error)) func(context.Context, kernel.WorkspaceID, func(any) error) error {
	return EachAs(list, func(v T) any { return v })
}

// EachAs is a Collection.Export of what a list has, in another form.
func EachAs[T any](list func(context.Context, kernel.WorkspaceID) ([]T, error), as func(T) any) func(context.Context, kernel.WorkspaceID, func(any) error) error {
	return func(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
		all, err := list(ctx, ws)
		if err != nil {
			return err
		}
		for _, v := range all {
			if err := item(as(v)); err != nil {
				return err
			}
		}
		return nil
	}
}
