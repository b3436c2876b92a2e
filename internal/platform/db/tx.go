package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Tx is a write transaction with one fixed Now.
type Tx struct {
	tx      *sql.Tx
	dialect Dialect
	now     time.Time
	after   []func()
}

const maxTries = 5

// Tx runs f in one write transaction: committed when f returns nil, rolled back otherwise. On PostgreSQL a deadlock or
// serialization failure runs f again, so f must not have effects outside of the transaction: hand those to AfterCommit.
func (d *DB) Tx(ctx context.Context, f func(tx *Tx) error) error {
	for try := 1; ; try++ {
		err := d.tryTx(ctx, f)
		if err == nil || try == maxTries || !isRetryable(err) {
			return err
		}
	}
}

func (d *DB) tryTx(ctx context.Context, f func(tx *Tx) error) error {
	sqlTx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("db: begin: %w", err)
	}
	defer sqlTx.Rollback() // after a commit this does nothing
	tx := &Tx{tx: sqlTx, dialect: d.dialect, now: d.clock().UTC()}
	if err := f(tx); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("db: commit: %w", err)
	}
	for _, after := range tx.after {
		after()
	}
	return nil
}

// Now is the time at which the transaction began, the same for all of its statements.
func (t *Tx) Now() time.Time { return t.now }

// Dialect tells which engine this is.
func (t *Tx) Dialect() Dialect { return t.dialect }

// SQL is the transaction itself, for libraries that want one (River's InsertTx).
func (t *Tx) SQL() *sql.Tx { return t.tx }

// AfterCommit registers an effect outside of the database that happens only if the transaction commits.
func (t *Tx) AfterCommit(f func()) { t.after = append(t.after, f) }

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, Rebind(t.dialect, text), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query reads inside of the transaction.
func (t *Tx) Query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, Rebind(t.dialect, text), args...)
}

// QueryRow reads at most one row inside of the transaction.
func (t *Tx) QueryRow(ctx context.Context, text string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, Rebind(t.dialect, text), args...)
}
