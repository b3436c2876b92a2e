package privacy

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kept-dev/kept/internal/platform/db"
)

// Schema is what a comparison of the data map with the live databases found.
type Schema struct {
	Tables, Columns int64 // of the live databases
	Findings        []Finding
}

// CompareSchema reads the live schema of every database and reports each table and column that nobody declared, and
// each that is declared but does not exist. Libraries' tables count: whoever brings the library declares them.
func CompareSchema(ctx context.Context, m *Map, databases []Database) (Schema, error) {
	var out Schema
	for _, group := range sameDatabase(databases) {
		live, err := group[0].DB.Columns(ctx)
		if err != nil {
			return out, fmt.Errorf("privacy: read the schema of the %s: %w", group[0].Where, err)
		}
		declared := m.declared(group)
		out.Findings = append(out.Findings, compareTables(group[0].Where, live, declared)...)
		out.Tables += int64(len(live))
		for _, columns := range live {
			out.Columns += int64(len(columns))
		}
	}
	slices.SortFunc(out.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Column, b.Column))
	})
	return out, nil
}

// sameDatabase groups the names that mean one database: on PostgreSQL both may be the same URL.
func sameDatabase(databases []Database) [][]Database {
	var groups [][]Database
next:
	for _, d := range databases {
		for i, g := range groups {
			if same(g[0].DB, d.DB) {
				groups[i] = append(g, d)
				continue next
			}
		}
		groups = append(groups, []Database{d})
	}
	return groups
}

func same(a, b *db.DB) bool {
	if a == b {
		return true
	}
	return a.Dialect() == b.Dialect() && a.URL() == b.URL() && a.Path() == b.Path()
}

// declared lists the declared columns of the tables in a database, by table.
func (m *Map) declared(group []Database) map[string][]string {
	out := map[string][]string{}
	for _, c := range m.collections {
		here := slices.ContainsFunc(group, func(d Database) bool { return d.Where == c.Where })
		if !here || !c.IsTable() {
			continue
		}
		for _, f := range c.Fields {
			out[c.Name] = append(out[c.Name], f.Name)
		}
	}
	return out
}

func compareTables(where string, live, declared map[string][]string) []Finding {
	var out []Finding
	for table, columns := range live {
		want, ok := declared[table]
		if !ok {
			out = append(out, Finding{Where: where, Table: table, Problem: "the table exists, but no module declares it"})
			continue
		}
		for _, column := range without(columns, want) {
			out = append(out, Finding{where, table, column, "the column exists, but is not declared"})
		}
		for _, column := range without(want, columns) {
			out = append(out, Finding{where, table, column, "is declared, but there is no such column"})
		}
	}
	for table := range declared {
		if _, ok := live[table]; !ok {
			out = append(out, Finding{Where: where, Table: table, Problem: "is declared, but there is no such table"})
		}
	}
	return out
}

// without lists the names of a that b lacks.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return slices.Contains(b, name) })
}
