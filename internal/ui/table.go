package ui

import (
	"fmt"
	"html"
	"html/template"
	"net/url"
	"strings"
)

// Filters is the bar above a list. Its values live in the address: without
// scripts it is a GET form, with scripts it applies while one types. Draw it
// with {{template "ui.filters" .Filters}} inside the element whose id is
// Target, together with the list and its pager.
type Filters struct {
	Action string
	Target string // id of the element that is replaced
	Fields []Filter
	Keep   []Param // other parameters to carry along, such as the order
	Active int     // fields with a value
	Clear  string  // address without filters
}

// Param is a query parameter.
type Param struct{ Name, Value string }

// Filter is one field of the bar.
type Filter struct {
	Name        string
	Label       string
	Kind        string // "search" (default), "text", "select", "datetime-local", "date"
	Value       string // read from the address
	Placeholder string
	Options     []Option // of a select; the empty choice "Any" is added
	List        []string // suggestions of a text field
	Wide        bool
}

// Option is one choice of a select or of radio buttons.
type Option struct{ Value, Label, Hint string }

// NewFilters reads the values of fields from the address and keeps the other
// parameters, except "cursor", which a changed filter makes meaningless.
func NewFilters(u *url.URL, target string, fields ...Filter) Filters {
	q := u.Query()
	f := Filters{Action: u.Path, Target: target}
	for _, field := range fields {
		if field.Kind == "" {
			field.Kind = "search"
		}
		if field.Value = q.Get(field.Name); field.Value != "" {
			f.Active++
		}
		q.Del(field.Name)
		f.Fields = append(f.Fields, field)
	}
	q.Del("cursor")
	for name := range q {
		f.Keep = append(f.Keep, Param{name, q.Get(name)})
	}
	sortParams(f.Keep)
	f.Clear = pathQuery(u.Path, q)
	return f
}

func sortParams(p []Param) {
	for i := 1; i < len(p); i++ {
		for j := i; j > 0 && p[j].Name < p[j-1].Name; j-- {
			p[j], p[j-1] = p[j-1], p[j]
		}
	}
}

// Sorts says how a list is ordered, read from the parameter "sort": a column
// key, with "-" before it for descending.
type Sorts struct {
	URL    *url.URL
	Target string
	Key    string
	Desc   bool
}

// NewSorts reads the order from the address. Only the allowed keys count; the
// first one is the default and may begin with "-".
func NewSorts(u *url.URL, target string, allowed ...string) Sorts {
	s := Sorts{URL: u, Target: target}
	want := u.Query().Get("sort")
	for i, key := range allowed {
		name := strings.TrimPrefix(key, "-")
		if i == 0 {
			s.Key, s.Desc = name, key != name
		}
		if strings.TrimPrefix(want, "-") == name {
			s.Key, s.Desc = name, strings.HasPrefix(want, "-")
			break
		}
	}
	return s
}

// sortLink is a th whose link orders the list by the column, or turns the
// order round. A third argument is the class of the th ("num").
func sortLink(s Sorts, key, label string, class ...string) (template.HTML, error) {
	value, icon, aria := key, "sort", "none"
	if s.Key == key {
		icon, aria, value = "sortup", "ascending", "-"+key
		if s.Desc {
			icon, aria, value = "sortdown", "descending", key
		}
	}
	href, err := WithQuery(s.URL, "sort", value, "cursor", "")
	if err != nil {
		return "", err
	}
	svg, err := Icon(icon)
	if err != nil {
		return "", err
	}
	return template.HTML(fmt.Sprintf(`<th scope="col" class="%s" aria-sort="%s"><a class="sort" id="%s" href="%s"%s>%s%s</a></th>`,
		html.EscapeString(strings.Join(class, " ")), aria, html.EscapeString("sort-"+s.Target+"-"+key), html.EscapeString(href),
		htmxGet(href, s.Target), html.EscapeString(label), svg)), nil
}

// htmxGet are the attributes that make a link replace one element and the
// address. Morphing is a swap of htmx 4 only; it keeps focus, selection and
// folded parts, which replacing does not.
func htmxGet(href, target string) template.HTMLAttr {
	if target == "" {
		return ""
	}
	return template.HTMLAttr(fmt.Sprintf(` hx-get="%s" hx-target="#%s" hx-swap="outerMorph" hx-push-url="true"`,
		html.EscapeString(href), html.EscapeString(target)))
}

// Pager is the line under a list read by cursor. Empty addresses are not
// offered.
type Pager struct {
	Target string
	First  string // back to the newest
	Next   string
	Text   string // "50 jobs", "1–50 of about 12,000"
}

// NewPager makes the pager of the page at u: cursor is the one for the page
// after this, empty on the last page.
func NewPager(u *url.URL, target, cursor, text string) Pager {
	p := Pager{Target: target, Text: text}
	if u.Query().Get("cursor") != "" {
		p.First, _ = WithQuery(u, "cursor", "")
	}
	if cursor != "" {
		p.Next, _ = WithQuery(u, "cursor", cursor)
	}
	return p
}

// Attrs are the htmx attributes of a pager's link.
func (p Pager) Attrs(href string) template.HTMLAttr { return htmxGet(href, p.Target) }

// Tabs is a row of links of which one is current.
type Tabs struct {
	Label string // names the row for screen readers
	Items []Tab
}

// Tab is one of Tabs. Count is drawn when it is not empty.
type Tab struct {
	Label   string
	Href    string
	Count   string
	Current bool
}
