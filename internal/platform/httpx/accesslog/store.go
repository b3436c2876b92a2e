package accesslog

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the schema of the log.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "create the access log", SQL: `
CREATE TABLE access_log (
	id TEXT_C NOT NULL PRIMARY KEY,
	at INTEGER NOT NULL,
	request_id TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	route TEXT NOT NULL,
	status INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	duration_us INTEGER NOT NULL,
	requests INTEGER NOT NULL,
	ip TEXT NOT NULL,
	user_agent TEXT NOT NULL,
	account_id TEXT_C NOT NULL,
	key_id TEXT_C NOT NULL,
	workspace_id TEXT_C NOT NULL
) END_TABLE;
CREATE INDEX access_log_at ON access_log (at);
CREATE INDEX access_log_workspace ON access_log (workspace_id, at);
CREATE INDEX access_log_account ON access_log (account_id, at);
`}, {Name: "people's tokens; API accesses of a workspace", SQL: `
ALTER TABLE access_log ADD COLUMN token_id TEXT_C NOT NULL DEFAULT '';
CREATE INDEX access_log_api ON access_log (workspace_id, at, id) WHERE key_id <> '' OR token_id <> '';
`}}
}

const columns = `id, at, request_id, method, path, route, status, bytes, duration_us, requests, ip, user_agent, account_id, key_id, token_id, workspace_id`

const (
	columnCount   = 16
	rowsStatement = 50
)

// There are two statements only, so that the engines' statement caches stay small.
var (
	insertMany = insertText(rowsStatement)
	insertOne  = insertText(1)
)

func insertText(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO access_log (" + columns + ") VALUES ")
	for i := range rows * columnCount {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columnCount == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String() + ")"
}

func insert(ctx context.Context, d *db.DB, rows []row) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		rest := rows
		for len(rest) > 0 {
			n, text := 1, insertOne
			if len(rest) >= rowsStatement {
				n, text = rowsStatement, insertMany
			}
			args := make([]any, 0, n*columnCount)
			for _, r := range rest[:n] {
				args = append(args, r.values()...)
			}
			if _, err := tx.Exec(ctx, text, args...); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
}

func (r row) values() []any {
	ip := ""
	if r.IP.IsValid() {
		ip = r.IP.String()
	}
	return []any{
		string(kernel.NewID(r.At)), kernel.Micros(r.At), r.RequestID, r.Method, r.Path, r.Route, r.Status, r.Bytes,
		r.Duration.Microseconds(), r.requests, ip, r.UserAgent, string(r.AccountID), string(r.KeyID), string(r.TokenID),
		string(r.WorkspaceID),
	}
}

// Count is how many rows there are, of a workspace or (empty) of all.
func (l *Log) Count(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = l.db.QueryRow(ctx, `SELECT count(*) FROM access_log WHERE $1 = '' OR workspace_id = $1`, string(ws)).Scan(&n)
	return n, err
}

// Oldest is the time of the oldest row, of a workspace or (empty) of all; zero when there is none.
func (l *Log) Oldest(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
	text, args := `SELECT coalesce(min(at), 0) FROM access_log`, []any(nil)
	if ws != "" {
		text, args = text+` WHERE workspace_id = $1`, []any{string(ws)}
	}
	var at int64
	err := l.db.QueryRow(ctx, text, args...).Scan(&at)
	return kernel.FromMicros(at), err
}

// sweepRows is how many rows one transaction removes, so that a long overdue sweep does not hold up the one writer.
const sweepRows = 5000

// Sweep removes what is older than before, of a workspace or (empty) of all, and tells how many rows went.
func (l *Log) Sweep(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
	return l.remove(ctx, `at < $2 AND ($1 = '' OR workspace_id = $1)`, string(ws), kernel.Micros(before))
}

// Erase removes everything of a workspace.
func (l *Log) Erase(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	return l.remove(ctx, `workspace_id = $1 AND $2 = 0`, string(ws), int64(0))
}

// EraseAccount removes everything of a person.
func (l *Log) EraseAccount(ctx context.Context, account kernel.AccountID) (int64, error) {
	return l.remove(ctx, `account_id = $1 AND $2 = 0`, string(account), int64(0))
}

func (l *Log) remove(ctx context.Context, where, who string, number int64) (total int64, err error) {
	for {
		var n int64
		err = l.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM access_log WHERE id IN (SELECT id FROM access_log WHERE `+where+` LIMIT $3)`,
				who, number, sweepRows)
			return err
		})
		if total += n; err != nil || n < sweepRows {
			return total, err
		}
	}
}
