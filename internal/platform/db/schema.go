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
