package app_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/testkit"
)

var update = flag.Bool("update", false, "write the authorization matrix as it is; then read what changed, line by line")

const matrixFile = "testdata/authorization.txt"

const matrixHead = `# Who may use which route. One line per route, one column per caller; a route without a line fails the test.
#
# ok      the handler is reached          signin   sent to the sign-in page
# prove   sent to prove who one is        400 …    refused with this status
#
# anon      nobody is signed in                      stale     a login past its lifetime
# stranger  signed in, owner of another workspace    unproved  an owner whose last proof of identity is old
# ingest, read, scim   keys of the workspace         expired   a key past its end
# foreign   a read key of another workspace: "ok" is about that workspace's own data
# pat       a member's personal token to read        mobile    a member's mobile token
#
`

// TestAuthorizationMatrix tries every route as everybody.
func TestAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a := testkit.Start(t, engine, testkit.With(app.WithMailbox(), app.WithDemoPages()))
		cast := newCast(t, a)
		mux, err := a.HollowMux()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for _, r := range mux.Table() {
			route := r.Method + " " + r.Path
			for _, who := range cast {
				got[route] = append(got[route], ask(mux, r, who))
			}
		}
		if *update {
			writeMatrix(t, cast, got)
			return
		}
		compareMatrix(t, cast, got)
	})
}

// ask sends a request that says nothing more than who asks.
func ask(mux *httpx.Mux, r httpx.Route, who caller) string {
	req := httptest.NewRequest(r.Method, pathOf(r, who.workspace), strings.NewReader("{}"))
	req.Host = "localhost"
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Content-Type", "application/json")
	who.dress(req)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	location, _, _ := strings.Cut(w.Header().Get("Location"), "?")
	switch {
	case w.Code == app.Reached:
		return "ok"
	case w.Code == http.StatusSeeOther && location == "/sign-in":
		return "signin"
	case w.Code == http.StatusSeeOther && location == "/account/prove":
		return "prove"
	}
	return fmt.Sprint(w.Code)
}

var wildcard = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// pathOf fills in a route's wildcards: the workspace where it is asked for, else something that looks right.
func pathOf(r httpx.Route, ws kernel.WorkspaceID) string {
	path := strings.TrimSuffix(r.Path, "{$}")
	return wildcard.ReplaceAllStringFunc(path, func(w string) string {
		if w == "{ws}" {
			return string(ws)
		}
		return "01arz3ndektsv4rrffq69g5fav"
	})
}

func names(cast []caller) []string {
	out := make([]string, len(cast))
	for i, c := range cast {
		out[i] = c.name
	}
	return out
}

func writeMatrix(t *testing.T, cast []caller, got map[string][]string) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(matrixHead)
	wide := 0
	for route := range got {
		wide = max(wide, len(route))
	}
	line := func(route string, words []string) {
		fmt.Fprintf(&b, "%-*s", wide, route)
		for i, w := range words {
			fmt.Fprintf(&b, " %-*s", max(len(cast[i].name), 6), w)
		}
		b.Truncate(len(bytes.TrimRight(b.Bytes(), " ")))
		b.WriteByte('\n')
	}
	line("# route", names(cast))
	routes := make([]string, 0, len(got))
	for route := range got {
		routes = append(routes, route)
	}
	slices.SortFunc(routes, func(a, b string) int {
		_, pa, _ := strings.Cut(a, " ")
		_, pb, _ := strings.Cut(b, " ")
		return strings.Compare(pa+" "+a, pb+" "+b)
	})
	for _, route := range routes {
		line(route, got[route])
	}
	if err := os.WriteFile(matrixFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compareMatrix(t *testing.T, cast []caller, got map[string][]string) {
	t.Helper()
	want := readMatrix(t)
	if head := want["# route"]; !slices.Equal(head, names(cast)) {
		t.Fatalf("the matrix has the columns %v, the test %v", head, names(cast))
	}
	for route, answers := range got {
		expected, ok := want[route]
		if !ok {
			t.Errorf("%s is not in %s: write down who may use it", route, matrixFile)
			continue
		}
		for i, word := range answers {
			if i >= len(expected) || expected[i] != word {
				t.Errorf("%s as %s: %s, want %v", route, cast[i].name, word, expected)
			}
		}
	}
	for route := range want {
		if got[route] == nil && route != "# route" {
			t.Errorf("%s is in %s, but no such route is served", route, matrixFile)
		}
	}
}

func readMatrix(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 2 && (fields[0] != "#" || fields[1] == "route") {
			out[fields[0]+" "+fields[1]] = fields[2:]
		}
	}
	return out
}

// TestStepUpGuardsWhatMatters names the routes that must ask for a fresh proof, so that none loses its guard unseen.
func TestStepUpGuardsWhatMatters(t *testing.T) {
	t.Parallel()
	matrix := readMatrix(t)
	column := slices.Index(matrix["# route"], "unproved")
	for _, route := range careful {
		if words := matrix[route]; column < 0 || len(words) <= column || words[column] != "prove" {
			t.Errorf("%s does not ask for a proof: %v", route, words)
		}
	}
}
