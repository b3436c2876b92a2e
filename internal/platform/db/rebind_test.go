package db_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func TestRebind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"none", `SELECT 1`, `SELECT 1`},
		{"order swapped", `SELECT $2, $1`, `SELECT ?2, ?1`},
		{"repeated", `SELECT $1, $1`, `SELECT ?1, ?1`},
		{"two digits", `SELECT $1, $10, $12`, `SELECT ?1, ?10, ?12`},
		{"first and last byte", `$1$2`, `?1$2`}, // $1$2 is one odd token to SQLite; nobody writes it
		{"zero is no placeholder", `SELECT $0, $`, `SELECT $0, $`},
		{"literal", `SELECT '$1', $1`, `SELECT '$1', ?1`},
		{"literal with a doubled quote", `SELECT 'it''s $1', $1`, `SELECT 'it''s $1', ?1`},
		{"empty literal", `SELECT '', $1`, `SELECT '', ?1`},
		{"quoted name", `SELECT "a$1", "b""$2", $3`, `SELECT "a$1", "b""$2", ?3`},
		{"backquoted name", "SELECT `$1`, $1", "SELECT `$1`, ?1"},
		{"name with a dollar", `SELECT a$1, _$2, é$3 FROM t WHERE x=$4`, `SELECT a$1, _$2, é$3 FROM t WHERE x=?4`},
		{"line comment", "SELECT $1 -- not $2\n, $3", "SELECT ?1 -- not $2\n, ?3"},
		{"line comment at the end", `SELECT $1 -- not $2`, `SELECT ?1 -- not $2`},
		{"quote in a comment", "SELECT 1 -- it's\n, $1", "SELECT 1 -- it's\n, ?1"},
		{"block comment", `SELECT /* $1 ' */ $2`, `SELECT /* $1 ' */ ?2`},
		{"comment sign in a literal", `SELECT '--', $1, '/*', $2`, `SELECT '--', ?1, '/*', ?2`},
		{"minus and division", `SELECT $1-$2, $3/$4, -$5`, `SELECT ?1-?2, ?3/?4, -?5`},
		{"open literal", `SELECT $1, 'open $2`, `SELECT ?1, 'open $2`},
		{"open comment", `SELECT $1 /* open $2`, `SELECT ?1 /* open $2`},
		{"cast and json", `SELECT x->>'$.a', $1`, `SELECT x->>'$.a', ?1`},
	} {
		if got := db.Rebind(db.SQLite, c.in); got != c.want {
			t.Errorf("%s: %s → %s, want %s", c.name, c.in, got, c.want)
		}
		if got := db.Rebind(db.Postgres, c.in); got != c.in {
			t.Errorf("%s: changed for PostgreSQL: %s", c.name, got)
		}
	}
}

func FuzzRebind(f *testing.F) {
	f.Add(`SELECT $2, '$1', "$3" -- $4`)
	f.Fuzz(func(t *testing.T, text string) {
		got := db.Rebind(db.SQLite, text)
		if len(got) != len(text) || strings.ReplaceAll(got, "?", "$") != strings.ReplaceAll(text, "?", "$") {
			t.Errorf("%q → %q changes more than placeholders", text, got)
		}
		db.SplitStatements(text)
	})
}

func TestBothEnginesReadPlaceholdersByNumber(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var a, b, c, literal string
		err := d.QueryRow(t.Context(), `SELECT CAST($2 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT), '$1' /* $3 */`, "one", "two").
			Scan(&a, &b, &c, &literal)
		if err != nil || a != "two" || b != "one" || c != "two" || literal != "$1" {
			t.Errorf("got %q %q %q %q, %v", a, b, c, literal, err)
		}
	})
}

func TestSplitStatements(t *testing.T) {
	t.Parallel()
	got := db.SplitStatements("CREATE TABLE a (x TEXT DEFAULT ';\n'); -- one; and\nCREATE INDEX i ON a (x) ;\n/* ; */ ;\n-- nothing;\n;INSERT INTO a VALUES ('it''s;')")
	want := []string{
		"CREATE TABLE a (x TEXT DEFAULT ';\n')",
		"-- one; and\nCREATE INDEX i ON a (x)",
		"INSERT INTO a VALUES ('it''s;')",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func BenchmarkRebind(b *testing.B) {
	text := `SELECT id, queue, name, status, started_at FROM runs WHERE workspace = $1 AND queue = $2 AND status IN ($3, $4)
		AND (started_at, id) < ($5, $6) AND name LIKE '%' || $7 || '%' ORDER BY started_at DESC, id DESC LIMIT $8`
	for b.Loop() {
		db.Rebind(db.SQLite, text)
	}
}
