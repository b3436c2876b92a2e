package accesslog

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// access is an API access of w1 that was made n seconds after the beginning.
func access(n int, change func(*httpx.Entry)) httpx.Entry {
	e := entry(httpx.RatePage, 200)
	e.At, e.AccountID, e.KeyID, e.Route, e.Path = at.Add(time.Duration(n)*time.Second), "", "key1", "/api/v1/jobs", "/api/v1/jobs?q=1"
	if change != nil {
		change(&e)
	}
	return e
}

func list(t *testing.T, l *Log, f Filter) (out []int) {
	t.Helper()
	f.WorkspaceID = "w1"
	for {
		records, next, err := l.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			out = append(out, int(r.At.Sub(at)/time.Second))
		}
		if f.Cursor = next; next == "" {
			return out
		}
	}
}

func TestListIsOfOneWorkspacesAPI(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		for _, e := range []httpx.Entry{
			access(1, nil),
			access(2, func(e *httpx.Entry) { e.WorkspaceID = "w2" }),
			access(3, func(e *httpx.Entry) { e.KeyID, e.TokenID, e.AccountID = "", "token1", "a" }),
			access(4, func(e *httpx.Entry) { e.KeyID = "" }), // a person's page
			access(5, func(e *httpx.Entry) { e.Class = httpx.RateIngest }),
		} {
			l.Write(e)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := list(t, l, Filter{}); !slices.Equal(got, []int{5, 3, 1}) {
			t.Errorf("%v", got)
		}
		if records, _, err := l.List(t.Context(), Filter{}); err != nil || len(records) != 0 {
			t.Errorf("of no workspace: %d, %v", len(records), err)
		}
		var each []int
		if err := l.Each(t.Context(), Filter{WorkspaceID: "w1"}, func(r Record) error {
			each = append(each, int(r.At.Sub(at)/time.Second))
			return nil
		}); err != nil || !slices.Equal(each, []int{1, 3, 5}) {
			t.Errorf("%v, %v", each, err)
		}
	})
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		for _, e := range []httpx.Entry{
			access(1, nil),
			access(2, func(e *httpx.Entry) { e.Method, e.Status = "POST", 422 }),
			access(3, func(e *httpx.Entry) { e.KeyID = "key2"; e.IP = netip.MustParseAddr("192.0.2.9") }),
			access(4, func(e *httpx.Entry) { e.KeyID, e.TokenID = "", "token1"; e.Status = 404 }),
			access(5, func(e *httpx.Entry) { e.Path, e.Route = "/api/v1/queues/100%25", "/api/v1/queues/{name}" }),
		} {
			l.Write(e)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			f    Filter
			want []int
		}{
			"key":         {Filter{Caller: "key2"}, []int{3}},
			"token":       {Filter{Caller: "token1"}, []int{4}},
			"method":      {Filter{Method: "POST"}, []int{2}},
			"status":      {Filter{Status: 404}, []int{4}},
			"statuses":    {Filter{Status: 4}, []int{4, 2}},
			"ip":          {Filter{IP: "192.0.2.9"}, []int{3}},
			"route":       {Filter{Path: "{name}"}, []int{5}},
			"path":        {Filter{Path: "/100%"}, []int{5}},
			"no wildcard": {Filter{Path: "jo_s"}, nil},
			"from":        {Filter{From: at.Add(4 * time.Second)}, []int{5, 4}},
			"to":          {Filter{To: at.Add(2 * time.Second)}, []int{1}},
			"all":         {Filter{Limit: 2}, []int{5, 4, 3, 2, 1}}, // three pages
		} {
			if got := list(t, l, c.f); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
		if _, _, err := l.List(t.Context(), Filter{WorkspaceID: "w1", Cursor: "made up"}); kernel.CodeOf(err) != kernel.Malformed {
			t.Errorf("a made-up cursor: %v", err)
		}
	})
}

// TestListOfOneMoment: rows of the same microsecond are neither lost nor shown twice at the end of a page.
func TestListOfOneMoment(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := setup(t, d)
		for range 23 {
			l.Write(access(1, nil))
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := list(t, l, Filter{Limit: 5}); len(got) != 23 {
			t.Errorf("%d of 23", len(got))
		}
	})
}

// TestListUsesItsIndex: a workspace's API accesses are found among everybody's page views.
func TestListUsesItsIndex(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t), db.Module{Name: "accesslog", Migrations: Migrations()})
	w := Filter{WorkspaceID: "w1"}.where()
	rows, err := d.Query(t.Context(), `EXPLAIN QUERY PLAN SELECT `+recordColumns+` FROM access_log WHERE `+strings.Join(w.parts, " AND ")+
		` ORDER BY at DESC, id DESC LIMIT 50`, w.args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan += detail + "\n"
	}
	if !strings.Contains(plan, "access_log_api") || strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("the plan is\n%s", plan)
	}
}
