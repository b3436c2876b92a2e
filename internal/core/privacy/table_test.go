package privacy

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

const thingsSchema = `CREATE TABLE things (workspace_id TEXT_C NOT NULL, id TEXT_C NOT NULL, made_at INTEGER NOT NULL, over_at INTEGER NOT NULL,
	pinned FLAG NOT NULL, key_hash BYTES NOT NULL, weight REAL8 NOT NULL) END_TABLE;`

var thingFields = []Field{{"workspace_id", Technical, ""}, {"id", Technical, ""}, {"made_at", Technical, ""}, {"over_at", Technical, ""},
	{"pinned", Settings, ""}, {"key_hash", Secret, ""}, {"weight", Settings, ""}}

// eachThings hands over a database with things of two workspaces, made and over at these hours.
func eachThings(t *testing.T, f func(t *testing.T, d *db.DB)) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Migrate(t.Context(), db.Module{Name: "things", Migrations: []db.Migration{{Name: "things", SQL: thingsSchema}}}); err != nil {
			t.Fatal(err)
		}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			for _, row := range []struct {
				ws         kernel.WorkspaceID
				id         string
				made, over int
				pinned     int64
			}{{wsA, "b", 20, 0, 0}, {wsA, "a", 10, 15, 0}, {wsA, "c", 5, 0, 1}, {wsB, "d", 8, 0, 0}} {
				if _, err := tx.Exec(t.Context(), `INSERT INTO things VALUES ($1, $2, $3, $4, $5, $6, 1.5)`, row.ws, row.id,
					hour(row.made), hour(row.over), row.pinned, []byte("secret")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, d)
	})
}

// hour is a moment of the day of the things; none at 0.
func hour(n int) int64 {
	if n == 0 {
		return 0
	}
	return kernel.Micros(worldStart.Add(time.Duration(n) * time.Hour))
}

func TestTableAnswersForOneWorkspaceAndForAll(t *testing.T) {
	eachThings(t, func(t *testing.T, d *db.DB) {
		of := Table{DB: d, Of: "workspace_id", At: "made_at", Only: "pinned = 0 OR pinned = 7"}.Declare(Collection{Name: "things", Fields: thingFields})
		nobodys := Table{DB: d, At: "made_at"}.Declare(Collection{Name: "things", Fields: thingFields})
		for _, s := range []struct {
			c      Collection
			ws     kernel.WorkspaceID
			n      int64
			oldest int
		}{
			{of, wsA, 3, 10}, // the pinned one has no age
			{of, wsB, 1, 8},
			{of, "", 4, 8},
			{of, "other", 0, 0},
			{nobodys, "", 4, 5},
			{nobodys, wsA, 0, 0},
		} {
			n, err := s.c.Count(t.Context(), s.ws)
			at, err2 := s.c.Oldest(t.Context(), s.ws)
			if err != nil || err2 != nil || n != s.n || kernel.Micros(at) != hour(s.oldest) {
				t.Errorf("%q: %d, %v, %v, %v; want %d from hour %d", s.ws, n, at, err, err2, s.n, s.oldest)
			}
		}
		if of.Sweep != nil {
			t.Error("is swept, though it has no MaxAge")
		}
	})
}

func TestTableSweepsWhatIsOldAndWhatEnded(t *testing.T) {
	eachThings(t, func(t *testing.T, d *db.DB) {
		declared := Collection{Name: "things", Fields: thingFields, MaxAge: Fixed(day)}
		keep := Table{DB: d, Of: "workspace_id", At: "made_at", Only: "pinned = 0"}.Declare(declared)
		sweep := func(c Collection, ws kernel.WorkspaceID, before int, gone int64) {
			t.Helper()
			if n, err := c.Sweep(t.Context(), ws, kernel.FromMicros(hour(before))); err != nil || n != gone {
				t.Errorf("%d rows of %q from before hour %d went, %v; want %d", n, ws, before, err, gone)
			}
		}
		sweep(keep, wsA, 10, 0) // exactly as old as it may be
		sweep(Table{DB: d, At: "made_at"}.Declare(declared), wsA, 30, 0)
		sweep(Table{DB: d, Of: "workspace_id", At: "made_at", Ended: "over_at > 0 AND over_at < $3"}.Declare(declared), wsA, 1, 1)
		sweep(keep, wsA, 30, 1) // b; c is pinned
		sweep(keep, "", 30, 1)  // d
		if n, err := keep.Count(t.Context(), ""); err != nil || n != 1 {
			t.Errorf("%d rows are left, %v", n, err)
		}
	})
}

func TestTableErasesOneWorkspace(t *testing.T) {
	eachThings(t, func(t *testing.T, d *db.DB) {
		var told []kernel.WorkspaceID
		c := Table{DB: d, Of: "workspace_id", Erasing: func(_ *db.Tx, ws kernel.WorkspaceID) { told = append(told, ws) }}.
			Declare(Collection{Name: "things", Fields: thingFields})
		for _, s := range []struct {
			ws   kernel.WorkspaceID
			gone int64
		}{{"", 0}, {wsA, 3}, {wsA, 0}} {
			if n, err := c.Erase(t.Context(), s.ws); err != nil || n != s.gone {
				t.Errorf("%d rows of %q went, %v; want %d", n, s.ws, err, s.gone)
			}
		}
		if n, _ := c.Count(t.Context(), wsB); n != 1 || len(told) != 2 || told[0] != wsA {
			t.Errorf("%d rows of another workspace are left; told %v", n, told)
		}
	})
}

func TestTableExportsTheDeclaredFieldsWithoutSecrets(t *testing.T) {
	eachThings(t, func(t *testing.T, d *db.DB) {
		fields := thingFields[1:] // what is not declared is not exported
		c := Table{DB: d, Of: "workspace_id"}.Declare(Collection{Name: "things", Fields: fields})
		got := exportText(t, c, wsA)
		want := `{"id":"a","made_at":"2026-03-01T13:00:00Z","over_at":"2026-03-01T18:00:00Z","pinned":0,"weight":1.5}
{"id":"b","made_at":"2026-03-01T23:00:00Z","over_at":null,"pinned":0,"weight":1.5}
{"id":"c","made_at":"2026-03-01T08:00:00Z","over_at":null,"pinned":1,"weight":1.5}
`
		if got != want {
			t.Errorf("exported:\n%s\nwant:\n%s", got, want)
		}
		sealed := Table{DB: d, Of: "workspace_id"}.Declare(Collection{Name: "things", Fields: append(fields, Field{"body", Content, ""})})
		if sealed.Export != nil {
			t.Error("sealed content would be exported as it is")
		}
	})
}

func exportText(t *testing.T, c Collection, ws kernel.WorkspaceID) string {
	t.Helper()
	var out []byte
	err := c.Export(t.Context(), ws, func(v any) error {
		line, err := json.Marshal(v)
		out = append(append(out, line...), '\n')
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestTableLeavesWhatADeclarationBrings(t *testing.T) {
	t.Parallel()
	c := Table{Of: "workspace_id", At: "made_at"}.Declare(Collection{Name: "things", Fields: thingFields, NoErase: "n", NoExport: "n",
		Count: func(context.Context, kernel.WorkspaceID) (int64, error) { return 42, nil }})
	if n, _ := c.Count(t.Context(), ""); n != 42 || c.Erase != nil || c.Export != nil || c.Oldest == nil {
		t.Errorf("declared: %+v", c)
	}
}
