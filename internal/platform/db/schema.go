package db

import (
	"context"
	"sort"
)

// Columns lists the live schema: table name to its column names, both sorted. Tables of the engine itself are left out.
func (d *DB) Columns(ctx context.Context) (map[string][]string, error) {
	// table_xinfo also has generated columns, which table_info hides; hidden = 1 are a virtual table's inner ones.
	text := `SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_xinfo(m.name) p
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND p.hidden <> 1`
	if d.dialect == Postgres {
		text = `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()`
	}
	rows, err := d.Query(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		out[table] = append(out[table], column)
	}
	for _, columns := range out {
		sort.Strings(columns)
	}
	return out, rows.Err()
}

// Size is what the database takes on disk, bytes: on SQLite the pages in use, so that it does not depend on when the
// file was last trimmed.
func (d *DB) Size(ctx context.Context) (n int64, err error) {
	text := `SELECT (p.page_count - f.freelist_count) * s.page_size FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`
	if d.dialect == Postgres {
		text = `SELECT pg_database_size(current_database())`
	}
	err = d.QueryRow(ctx, text).Scan(&n)
	return n, err
}

// Trim gives room that deleted rows have left back to the file system, a part at a time so that writers need not wait.
// PostgreSQL does so by itself.
func (d *DB) Trim(ctx context.Context) error {
	if d.dialect == Postgres {
		return nil
	}
	for {
		var free int64
		if err := d.writer.QueryRowContext(ctx, `PRAGMA freelist_count`).Scan(&free); err != nil || free == 0 {
			return err
		}
		if _, err := d.writer.ExecContext(ctx, `PRAGMA incremental_vacuum(2000)`); err != nil {
			return err
		}
		var left int64
		if err := d.writer.QueryRowContext(ctx, `PRAGMA freelist_count`).Scan(&left); err != nil || left >= free {
			return err
		}
	}
}
