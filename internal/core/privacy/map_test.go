package privacy

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	good := func() Collection {
		return Collection{
			Name: "people", Module: "m", Title: "People", Subjects: "account holders", Purpose: "p", LegalBasis: "contract",
			Retention: "r", Where: "control database", Promises: []string{"COL-1"}, NoExport: "n", NoErase: "n",
			Fields: []Field{{"id", Technical, ""}, {"email", Identity, ""}},
		}
	}
	sweep := func(context.Context, kernel.WorkspaceID, time.Time) (int64, error) { return 0, nil }
	for _, c := range []struct {
		want   string // part of the only finding; empty: none
		change func(*Collection)
	}{
		{"", func(*Collection) {}},
		{"", func(c *Collection) { c.LegalBasis = "legitimate interest (security)" }},
		{"", func(c *Collection) { c.Name, c.Where, c.Fields[0].Name = "blob:exports/", "blob store", "the file" }},
		{"Title is empty", func(c *Collection) { c.Title = "" }},
		{"Module is empty", func(c *Collection) { c.Module = "" }},
		{"Purpose is empty", func(c *Collection) { c.Purpose = "" }},
		{"Retention is empty", func(c *Collection) { c.Retention = "" }},
		{"Where names no database", func(c *Collection) { c.Where = "a cupboard" }},
		{"Subjects says nobody", func(c *Collection) { c.Subjects, c.LegalBasis = "nobody", "" }},
		{"LegalBasis", func(c *Collection) { c.LegalBasis = "because we can" }},
		{"no promise", func(c *Collection) { c.Promises = []string{"COL-99"} }},
		{"no name for a table", func(c *Collection) { c.Name = `people"; DROP TABLE people` }},
		{"no name for a column", func(c *Collection) { c.Fields[0].Name = "Id" }},
		{"declares no fields", func(c *Collection) { c.Fields = nil }},
		{"declared twice", func(c *Collection) { c.Fields = append(c.Fields, c.Fields[0]) }},
		{"unknown category", func(c *Collection) { c.Fields[0].Category = "secrets" }},
		{"both or neither", func(c *Collection) { c.MaxAge = Fixed(day) }},
		{"without Oldest", func(c *Collection) { c.MaxAge, c.Sweep = Fixed(day), sweep }},
		{"no Export", func(c *Collection) { c.NoExport = "" }},
		{"no Erase", func(c *Collection) { c.NoErase = "" }},
	} {
		one := good()
		c.change(&one)
		found := texts(NewMap([]Collection{one}).Validate([]Database{{Where: "control database"}}))
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !has(found, c.want)) {
			t.Errorf("want %q, got %q", c.want, found)
		}
	}
	twice := NewMap([]Collection{good(), good()}).Validate([]Database{{Where: "control database"}})
	if len(twice) != 1 || twice[0].Problem != "is declared twice" {
		t.Errorf("twice: %v", twice)
	}
}

func texts(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.String())
	}
	return out
}

func TestCompareSchemaOfTwoDatabases(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		control := dbtest.Open(t, cfg)
		other := dbtest.SQLite(t)
		jobs := dbtest.Open(t, other)
		databases := []Database{{"control database", control}, {"jobs database", jobs}}
		m := New(Deps{DB: control, Sources: Sources{Databases: databases}})
		err := control.Migrate(t.Context(), db.Module{Name: "privacy", Migrations: m.Migrations()})
		if err != nil {
			t.Fatal(err)
		}
		declared := NewMap(m.Collections())
		if found := declared.Validate(databases); len(found) > 0 {
			t.Fatalf("own declarations: %v", found)
		}
		got, err := CompareSchema(t.Context(), declared, databases)
		if err != nil || len(got.Findings) > 0 || got.Tables != 5 {
			t.Fatalf("in order: %+v, %v", got, err)
		}
		// A table that is declared for one database does not excuse one of that name in the other.
		if _, err := jobs.Writer().ExecContext(t.Context(), `CREATE TABLE promise_checks (id INTEGER, extra INTEGER)`); err != nil {
			t.Fatal(err)
		}
		got, _ = CompareSchema(t.Context(), declared, databases)
		want := []string{"jobs database: promise_checks: the table exists, but no module declares it"}
		if !slices.Equal(texts(got.Findings), want) {
			t.Fatalf("got %v", got.Findings)
		}
	})
}

func TestTwoNamesOfOneDatabase(t *testing.T) {
	t.Parallel()
	dbtest.EachConfig(t, func(t *testing.T, cfg db.Config) {
		one, two := dbtest.Open(t, cfg), dbtest.Open(t, cfg)
		groups := sameDatabase([]Database{{"control database", one}, {"jobs database", two}})
		if len(groups) != 1 || len(groups[0]) != 2 {
			t.Fatalf("got %d groups", len(groups))
		}
	})
}

func TestFind(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		const canary = "canary-ü-4711"
		w.logURL(t, "/x/"+canary)
		w.event(t, wsA, 0, []byte("\x00\x01"+canary+"\xff"))
		hits, err := Find(t.Context(), w.sources.Databases, canary)
		want := []Hit{{"control database", "access_log", "path", 1}, {"control database", "job_events", "payload", 1}}
		if err != nil || !slices.Equal(hits, want) {
			t.Fatalf("got %v, %v", hits, err)
		}
		if hits, err = Find(t.Context(), w.sources.Databases, "canary-4712"); err != nil || len(hits) > 0 {
			t.Fatalf("got %v, %v", hits, err)
		}
	})
}
