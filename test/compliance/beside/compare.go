package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// question is one request to both servers.
type question struct {
	path   string
	params url.Values
	free   bool // Prometheus promises no order of what it answers
}

func (q question) String() string {
	var parts []string
	for _, name := range []string{"query", "match[]", "time", "start", "end", "step", "limit"} {
		for _, v := range q.params[name] {
			parts = append(parts, name+"="+v)
		}
	}
	return q.path + " " + strings.Join(parts, " ")
}

// tally is how a kind of question was answered.
type tally struct{ asked, same, sorted, wrong, empty int }

func runCompare(stock, kept server) error {
	questions, err := catalogue(stock)
	if err != nil {
		return err
	}
	kinds := map[string]*tally{}
	var total tally
	for _, q := range questions {
		t := kinds[q.path]
		if t == nil {
			t = &tally{}
			kinds[q.path] = t
		}
		a, b := stock.ask(q), kept.ask(q)
		t.asked, total.asked = t.asked+1, total.asked+1
		if isEmpty(a) {
			t.empty, total.empty = t.empty+1, total.empty+1
		}
		switch {
		case a == b:
			t.same, total.same = t.same+1, total.same+1
		case q.free && unordered(a) == unordered(b):
			t.sorted, total.sorted = t.sorted+1, total.sorted+1
		default:
			t.wrong, total.wrong = t.wrong+1, total.wrong+1
			fmt.Printf("DIFFERENT %s\n  stock %s\n  kept  %s\n", q, around(a, b), around(b, a))
		}
	}
	for _, path := range slices.Sorted(maps(kinds)) {
		fmt.Printf("%-28s %s\n", path, kinds[path])
	}
	fmt.Printf("%-28s %s\n", "all", &total)
	if total.wrong > 0 {
		return fmt.Errorf("%d answers differ", total.wrong)
	}
	return nil
}

func maps(m map[string]*tally) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (t *tally) String() string {
	return fmt.Sprintf("%5d asked, %5d the same bytes, %4d the same but for an order that nobody promises, %d different (%d were empty)", t.asked, t.same, t.sorted, t.wrong, t.empty)
}

// ask gives the status and the body.
func (s server) ask(q question) string {
	r, err := http.NewRequest(http.MethodGet, s.url+q.path+"?"+q.params.Encode(), nil)
	if err != nil {
		return err.Error()
	}
	s.sign(r)
	for tries := 0; ; tries++ {
		res, err := client.Do(r)
		if err != nil {
			return err.Error()
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return err.Error()
		}
		if res.StatusCode == http.StatusTooManyRequests && tries < 100 {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		return fmt.Sprintf("%d %s", res.StatusCode, bytes.TrimSuffix(body, []byte("\n")))
	}
}

func isEmpty(answer string) bool {
	return strings.Contains(answer, `"result":[]`) || strings.HasSuffix(answer, `"data":[]}`)
}

// unordered is an answer with its result's elements and its notes sorted.
func unordered(answer string) string {
	status, body, _ := strings.Cut(answer, " ")
	var v struct {
		Status          string
		Data            json.RawMessage
		Warnings, Infos []string
	}
	if json.Unmarshal([]byte(body), &v) != nil {
		return answer
	}
	var found struct {
		ResultType string
		Result     []json.RawMessage
	}
	list := &found.Result
	if json.Unmarshal(v.Data, &found) != nil && json.Unmarshal(v.Data, list) != nil {
		return answer
	}
	slices.SortFunc(*list, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	slices.Sort(v.Warnings)
	slices.Sort(v.Infos)
	return fmt.Sprintf("%s %s %s %s %q %q", status, v.Status, found.ResultType, *list, v.Warnings, v.Infos)
}

// around is the part of a in which it begins to differ from b.
func around(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	from, to := max(0, n-120), min(len(a), n+200)
	return fmt.Sprintf("(%d bytes, from %d) …%s…", len(a), from, a[from:to])
}
