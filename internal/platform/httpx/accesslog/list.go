package accesslog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Record is a row as it is exported and shown.
type Record struct {
	At          time.Time `json:"at"`
	RequestID   string    `json:"request_id"`
	Method      string    `json:"method"`
	Path        string    `json:"path"`
	Route       string    `json:"route"`
	Status      int       `json:"status"`
	Bytes       int64     `json:"bytes"`
	DurationUS  int64     `json:"duration_us"` // microseconds, the sum over the requests
	Requests    int64     `json:"requests"`    // more than 1: a sum over a minute
	IP          string    `json:"ip"`
	UserAgent   string    `json:"user_agent"`
	AccountID   string    `json:"account_id,omitempty"`
	KeyID       string    `json:"key_id,omitempty"`
	TokenID     string    `json:"token_id,omitempty"`
	WorkspaceID string    `json:"workspace_id,omitempty"`

	id string
}

const recordColumns = `id, at, request_id, method, path, route, status, bytes, duration_us, requests, ip, user_agent, account_id, key_id, token_id, workspace_id`

// overAPI is what makes a request one of a program. It is the condition of the index, word for word.
const overAPI = `(key_id <> '' OR token_id <> '')`

// Filter says which API accesses of one workspace to list: requests that came with a key or a person's token. Empty
// fields do not filter.
type Filter struct {
	WorkspaceID kernel.WorkspaceID
	Caller      kernel.ID // a key or a token
	Method      string
	Path        string // part of the path or of the route
	Status      int    // exact, or 2 to 5 for all of 200 to 299 …
	IP          string
	From, To    time.Time // From is included, To is not
	Cursor      string
	Limit       int // 50 when 0
}

type position struct {
	At int64  `json:"t"`
	ID string `json:"i"`
}

// List returns the newest accesses first, and the cursor of the next page; it is empty on the last.
func (l *Log) List(ctx context.Context, f Filter) (records []Record, next string, err error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 50
	}
	w := f.where()
	if f.Cursor != "" {
		var p position
		if err := kernel.DecodeCursor(f.Cursor, &p); err != nil {
			return nil, "", err
		}
		w.add(`(at, id) < ($%d, $%d)`, p.At, p.ID)
	}
	if records, err = l.query(ctx, w, `ORDER BY at DESC, id DESC`, f.Limit+1); err != nil {
		return nil, "", err
	}
	if len(records) > f.Limit {
		records = records[:f.Limit]
		last := records[f.Limit-1]
		next = kernel.EncodeCursor(position{kernel.Micros(last.At), last.id})
	}
	return records, next, nil
}

// Each streams the accesses that match, the oldest first, without holding a read open for long.
func (l *Log) Each(ctx context.Context, f Filter, item func(Record) error) error {
	var p position
	for {
		w := f.where()
		w.add(`(at, id) > ($%d, $%d)`, p.At, p.ID)
		records, err := l.query(ctx, w, `ORDER BY at, id`, exportRows)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := item(r); err != nil {
				return err
			}
			p = position{kernel.Micros(r.At), r.id}
		}
		if len(records) < exportRows {
			return nil
		}
	}
}

const exportRows = 1000

// where collects conditions with numbered placeholders.
type where struct {
	parts []string
	args  []any
}

func (w *where) add(format string, args ...any) {
	numbers := make([]any, len(args))
	for i := range args {
		numbers[i] = len(w.args) + i + 1
	}
	w.parts = append(w.parts, fmt.Sprintf(format, numbers...))
	w.args = append(w.args, args...)
}

func (f Filter) where() *where {
	w := &where{parts: []string{overAPI}}
	w.add(`workspace_id = $%d`, string(f.WorkspaceID))
	if f.Caller != "" {
		w.add(`(key_id = $%[1]d OR token_id = $%[2]d)`, string(f.Caller), string(f.Caller))
	}
	if f.Method != "" {
		w.add(`method = $%d`, f.Method)
	}
	if f.Path != "" {
		like := "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(f.Path) + "%"
		w.add(`(path LIKE $%d ESCAPE '!' OR route LIKE $%d ESCAPE '!')`, like, like)
	}
	if f.Status >= 100 {
		w.add(`status = $%d`, f.Status)
	} else if f.Status > 0 {
		w.add(`status >= $%d AND status < $%d`, 100*f.Status, 100*f.Status+100)
	}
	if f.IP != "" {
		w.add(`ip = $%d`, f.IP)
	}
	if !f.From.IsZero() {
		w.add(`at >= $%d`, kernel.Micros(f.From))
	}
	if !f.To.IsZero() {
		w.add(`at < $%d`, kernel.Micros(f.To))
	}
	return w
}

func (l *Log) query(ctx context.Context, w *where, order string, limit int) ([]Record, error) {
	text := `SELECT ` + recordColumns + ` FROM access_log WHERE ` + strings.Join(w.parts, " AND ") + ` ` + order +
		fmt.Sprintf(` LIMIT $%d`, len(w.args)+1)
	rows, err := l.db.Query(ctx, text, append(w.args, limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Record
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func scanRecord(row interface{ Scan(...any) error }) (r Record, err error) {
	var at int64
	err = row.Scan(&r.id, &at, &r.RequestID, &r.Method, &r.Path, &r.Route, &r.Status, &r.Bytes, &r.DurationUS, &r.Requests, &r.IP,
		&r.UserAgent, &r.AccountID, &r.KeyID, &r.TokenID, &r.WorkspaceID)
	r.At = kernel.FromMicros(at)
	return r, err
}

// Export calls item with each Record of a workspace, the oldest first; of all when ws is empty.
func (l *Log) Export(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
	rows, err := l.db.Query(ctx, `SELECT `+recordColumns+` FROM access_log WHERE $1 = '' OR workspace_id = $1 ORDER BY at, id`, string(ws))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return err
		}
		if err := item(r); err != nil {
			return err
		}
	}
	return rows.Err()
}
