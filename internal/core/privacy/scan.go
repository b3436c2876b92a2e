package privacy

import (
	"context"
	"fmt"
	"slices"

	"github.com/kept-dev/kept/internal/platform/db"
)

// column is a declared column together with the database that it is in.
type column struct {
	db    *db.DB
	where string
	table string
	field Field
}

func (c column) String() string { return c.table + "." + c.field.Name }

// from is the SQL behind FROM, and name the column in SQL. Both are checked against sqlName before they get here.
func (c column) from() string { return `"` + c.table + `"` }
func (c column) name() string { return `"` + c.field.Name + `"` }

// columns lists the declared columns that are wanted, without those of tables that do not exist: COL-1 reports these.
func (in *Inspection) columns(ctx context.Context, want func(Collection, Field) bool) ([]column, error) {
	var out []column
	for _, d := range in.Databases {
		live, err := d.DB.Columns(ctx)
		if err != nil {
			return nil, fmt.Errorf("privacy: read the schema of the %s: %w", d.Where, err)
		}
		for _, c := range in.Map.Collections() {
			if c.Where != d.Where || !c.IsTable() || !sqlName.MatchString(c.Name) {
				continue
			}
			for _, f := range c.Fields {
				if sqlName.MatchString(f.Name) && slices.Contains(live[c.Name], f.Name) && want(c, f) {
					out = append(out, column{d.DB, d.Where, c.Name, f})
				}
			}
		}
	}
	return out, nil
}

// isBytes tells whether the column is of PostgreSQL's type for bytes. SQLite knows types by value, not by column.
func (c column) isBytes(ctx context.Context) (bool, error) {
	var kind string
	err := c.db.QueryRow(ctx, `SELECT data_type FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = $1 AND column_name = $2`, c.table, c.field.Name).Scan(&kind)
	return kind == "bytea", err
}

// sealOverhead is the length of the seal of nothing: Tink's prefix of version and key id, the nonce, and the tag.
const sealOverhead = 5 + 12 + 16

// plain counts the values of a column that should be sealed, and those that are not: every sealed value is bytes, is
// at least as long as a seal of nothing, and begins with Tink's 0x01 (the version byte in front of the key's id).
// Nothing that people or programs write as text begins with that byte.
func (c column) plain(ctx context.Context) (values, plain int64, err error) {
	sealed := `typeof(%[1]s) = 'blob' AND length(%[1]s) >= %[2]d AND substr(%[1]s, 1, 1) = x'01'`
	filled := `%[1]s IS NOT NULL AND %[1]s <> '' AND %[1]s <> x''`
	if c.db.Dialect() == db.Postgres {
		bytes, err := c.isBytes(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("privacy: type of %s: %w", c, err)
		}
		// octet_length tells the size without reading the value; the CASE below keeps get_byte off empty ones.
		sealed, filled = `CASE WHEN octet_length(%[1]s) >= %[2]d THEN get_byte(%[1]s, 0) = 1 ELSE false END`, `octet_length(%[1]s) > 0`
		if !bytes {
			sealed, filled = `false`, `%[1]s IS NOT NULL AND CAST(%[1]s AS text) <> ''`
		}
	}
	text := fmt.Sprintf(`SELECT count(*), coalesce(sum(CASE WHEN `+sealed+` THEN 0 ELSE 1 END), 0)
		FROM %[3]s WHERE `+filled, c.name(), sealOverhead, c.from())
	if err := c.db.QueryRow(ctx, text).Scan(&values, &plain); err != nil {
		return 0, 0, fmt.Errorf("privacy: look at %s: %w", c, err)
	}
	return values, plain, nil
}

// each hands every value of the column that is not NULL to f, as text or bytes; f must not keep it. filter is SQL that
// leaves out what f would not care for; it may be empty.
func (c column) each(ctx context.Context, filter string, f func(value []byte)) error {
	text := `SELECT ` + c.name() + ` FROM ` + c.from() + ` WHERE ` + c.name() + ` IS NOT NULL`
	if filter != "" {
		text += ` AND ` + c.name() + ` ` + filter
	}
	rows, err := c.db.Query(ctx, text)
	if err != nil {
		return fmt.Errorf("privacy: look at %s: %w", c, err)
	}
	defer rows.Close()
	for rows.Next() {
		var value []byte
		if err := rows.Scan(&value); err != nil {
			return fmt.Errorf("privacy: look at %s: %w", c, err)
		}
		f(value)
	}
	return rows.Err()
}

// Hit says that a text was found in the clear.
type Hit struct {
	Where, Table, Column string
	Rows                 int64
}

// Find looks for a text in the clear in every column of every live table, declared or not, of all databases. It is how
// a test tells that a canary is nowhere: not in a sealed column, and after an erasure not at all.
func Find(ctx context.Context, databases []Database, needle string) ([]Hit, error) {
	var out []Hit
	for _, group := range sameDatabase(databases) {
		d := group[0]
		live, err := d.DB.Columns(ctx)
		if err != nil {
			return nil, fmt.Errorf("privacy: read the schema of the %s: %w", d.Where, err)
		}
		for table, names := range live {
			for _, name := range names {
				rows, err := countRowsWith(ctx, d.DB, table, name, needle)
				if err != nil {
					return nil, fmt.Errorf("privacy: search %s.%s: %w", table, name, err)
				}
				if rows > 0 {
					out = append(out, Hit{d.Where, table, name, rows})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Hit) int {
		return slices.Compare([]string{a.Where, a.Table, a.Column}, []string{b.Where, b.Table, b.Column})
	})
	return out, nil
}

// countRowsWith compares bytes, whatever the column's type: a sealed column of text and a clear one of bytes are both
// searched as they lie in the database.
func countRowsWith(ctx context.Context, d *db.DB, table, name, needle string) (rows int64, err error) {
	column := `"` + table + `"."` + name + `"`
	text := `SELECT count(*) FROM "` + table + `" WHERE instr(CAST(` + column + ` AS BLOB), CAST($1 AS BLOB)) > 0`
	if d.Dialect() == db.Postgres {
		c := fmt.Sprintf(`CASE WHEN pg_typeof(%[1]s) = 'bytea'::regtype THEN decode(substr(%[1]s::text, 3), 'hex')
			ELSE convert_to(%[1]s::text, 'UTF8') END`, column)
		text = `SELECT count(*) FROM "` + table + `" WHERE position(convert_to($1::text, 'UTF8') IN ` + c + `) > 0`
	}
	err = d.QueryRow(ctx, text, needle).Scan(&rows)
	return rows, err
}
