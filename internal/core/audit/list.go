package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Filter says which lines of one chain to list. Empty fields do not filter.
type Filter struct {
	WorkspaceID kernel.WorkspaceID // empty is the instance's chain
	Action      string             // exact, or the beginning when it ends with "."
	Actor       string             // part of the label, or the id
	Target      string             // part of it
	IP          string             // the beginning of it
	Search      string             // words, each of which stands in who, what, target, detail or IP
	Result      string
	From, To    time.Time // From is included, To is not
	Cursor      string
	Limit       int // 50 when 0
}

// Entry is one line as people and exports see it.
type Entry struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	ActorKind string    `json:"actor_kind"`
	ActorID   string    `json:"actor_id,omitempty"`
	Actor     string    `json:"actor,omitempty"`
	Action    string    `json:"action"`
	Target    string    `json:"target,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	IP        string    `json:"ip,omitempty"`
	Result    string    `json:"result"`
	Forgotten bool      `json:"forgotten,omitempty"` // the person was erased
	Salt      string    `json:"salt,omitempty"`
	PrevHash  string    `json:"prev_hash"`
	Hash      string    `json:"hash"`
}

// maxWords of a search are looked at.
const maxWords = 8

type position struct {
	Seq int64 `json:"s"`
}

// List returns the newest lines first, and the cursor of the next page; it is empty on the last.
func (m *Module) List(ctx context.Context, f Filter) ([]Entry, string, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 50
	}
	where, args, err := f.where()
	if err != nil {
		return nil, "", err
	}
	args = append(args, f.Limit+1)
	lines, err := m.queryLines(ctx, `SELECT `+lineColumns+` FROM audit_events WHERE `+where+
		fmt.Sprintf(` ORDER BY seq DESC LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(lines) > f.Limit {
		lines = lines[:f.Limit]
		next = kernel.EncodeCursor(position{lines[len(lines)-1].seq})
	}
	out := make([]Entry, len(lines))
	for i, l := range lines {
		out[i] = l.entry()
	}
	return out, next, nil
}

func (f Filter) where() (string, []any, error) {
	w := where{parts: []string{"chain = $1"}, args: []any{chainOf(f.WorkspaceID)}}
	if strings.HasSuffix(f.Action, ".") {
		w.add(`action LIKE $%d ESCAPE '!'`, likeEscape(f.Action)+"%")
	} else if f.Action != "" {
		w.add(`action = $%d`, f.Action)
	}
	if f.Actor != "" {
		w.add(`(actor_id = $%[1]d OR lower(actor_label) LIKE '%%' || $%[2]d || '%%' ESCAPE '!')`, f.Actor, likeEscape(strings.ToLower(f.Actor)))
	}
	if f.Target != "" {
		w.add(`target LIKE '%%' || $%d || '%%' ESCAPE '!'`, likeEscape(f.Target))
	}
	if f.IP != "" {
		w.add(`ip LIKE $%d || '%%' ESCAPE '!'`, likeEscape(f.IP))
	}
	for i, word := range strings.Fields(strings.ToLower(f.Search)) {
		if i == maxWords {
			break
		}
		w.add(`(lower(detail) LIKE '%%' || $%[1]d || '%%' ESCAPE '!' OR lower(actor_label) LIKE '%%' || $%[1]d || '%%' ESCAPE '!' OR
			target LIKE '%%' || $%[1]d || '%%' ESCAPE '!' OR action LIKE '%%' || $%[1]d || '%%' ESCAPE '!' OR ip LIKE $%[1]d || '%%' ESCAPE '!')`, likeEscape(word))
	}
	if f.Result != "" {
		w.add(`result = $%d`, f.Result)
	}
	if !f.From.IsZero() {
		w.add(`at >= $%d`, kernel.Micros(f.From))
	}
	if !f.To.IsZero() {
		w.add(`at < $%d`, kernel.Micros(f.To))
	}
	if f.Cursor != "" {
		var p position
		if err := kernel.DecodeCursor(f.Cursor, &p); err != nil {
			return "", nil, err
		}
		w.add(`seq < $%d`, p.Seq)
	}
	return strings.Join(w.parts, " AND "), w.args, nil
}

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

func likeEscape(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

func (l *line) entry() Entry {
	return Entry{
		Seq: l.seq, At: kernel.FromMicros(l.at), ActorKind: l.actorKind, ActorID: l.actorID, Actor: l.actorLabel,
		Action: l.action, Target: l.target, Detail: l.detail, IP: l.ip, Result: l.result, Forgotten: l.forgotten(),
		Salt: hex.EncodeToString(l.salt), PrevHash: hex.EncodeToString(l.prev), Hash: hex.EncodeToString(l.hash),
	}
}

// Actions lists the actions that a chain has seen, for a filter.
func (m *Module) Actions(ctx context.Context, ws kernel.WorkspaceID) ([]string, error) {
	rows, err := m.db.Query(ctx, `SELECT DISTINCT action FROM audit_events WHERE chain = $1 ORDER BY action LIMIT 200`, chainOf(ws))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// Each streams the lines that match, oldest first, without holding a read open for long.
func (m *Module) Each(ctx context.Context, f Filter, item func(Entry) error) error {
	where, args, err := f.where()
	if err != nil {
		return err
	}
	args = append(args, int64(0), verifyPage)
	text := `SELECT ` + lineColumns + ` FROM audit_events WHERE ` + where +
		fmt.Sprintf(` AND seq > $%d ORDER BY seq LIMIT $%d`, len(args)-1, len(args))
	for {
		lines, err := m.queryLines(ctx, text, args...)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if err := item(l.entry()); err != nil {
				return err
			}
			args[len(args)-2] = l.seq
		}
		if len(lines) < verifyPage {
			return nil
		}
	}
}

func (m *Module) exportItems(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
	return m.Each(ctx, Filter{WorkspaceID: ws}, func(e Entry) error { return item(e) })
}
