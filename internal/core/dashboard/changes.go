package dashboard

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// change is what differs of one part of a dashboard between two versions.
type change struct {
	Part   string // "Panel “CPU”"
	What   string // "added", "removed", "moved"; empty: only fields differ
	Fields []changedField
}

type changedField struct {
	Name          string
	Before, After string // empty: it was not there, or is not any more
}

// changes says in words what differs between two versions.
func changes(before, after *Dashboard) (out []change) {
	if fields := compare(settingFacts(before), settingFacts(after)); len(fields) > 0 {
		out = append(out, change{Part: "Settings", Fields: fields})
	}
	out = append(out, listChanges("Variable", before.Variables, after.Variables, func(v Variable) string { return v.Name })...)
	out = append(out, listChanges("Marks", before.Marks, after.Marks, func(k Mark) string { return k.Name })...)
	out = append(out, rowChanges(before, after)...)
	return append(out, panelChanges(before, after)...)
}

// listChanges compares what has a name.
func listChanges[T any](kind string, before, after []T, name func(T) string) (out []change) {
	find := func(list []T, n string) int {
		return slices.IndexFunc(list, func(x T) bool { return name(x) == n })
	}
	for _, x := range after {
		part := fmt.Sprintf("%s “%s”", kind, name(x))
		i := find(before, name(x))
		if i < 0 {
			out = append(out, change{Part: part, What: "added", Fields: compare(nil, facts(x))})
		} else if fields := compare(facts(before[i]), facts(x)); len(fields) > 0 {
			out = append(out, change{Part: part, Fields: fields})
		}
	}
	for _, x := range before {
		if find(after, name(x)) < 0 {
			out = append(out, change{Part: fmt.Sprintf("%s “%s”", kind, name(x)), What: "removed"})
		}
	}
	return out
}

func settingFacts(d *Dashboard) map[string]string {
	return map[string]string{"title": d.Title, "description": d.Description, "tags": strings.Join(d.Tags, ", "), "time shown at first": d.Range, "refresh": d.Refresh}
}

func rowName(d *Dashboard, i int) string {
	if i < len(d.Rows) && d.Rows[i].Title != "" {
		return d.Rows[i].Title
	}
	return fmt.Sprintf("Row %d", i+1)
}

// rowChanges compares rows by their place: they have no other name that stays.
func rowChanges(before, after *Dashboard) (out []change) {
	for i := range max(len(before.Rows), len(after.Rows)) {
		switch {
		case i >= len(before.Rows):
			out = append(out, change{Part: "Row “" + rowName(after, i) + "”", What: "added"})
		case i >= len(after.Rows):
			out = append(out, change{Part: "Row “" + rowName(before, i) + "”", What: "removed"})
		default:
			a, b := before.Rows[i], after.Rows[i]
			a.Panels, b.Panels = nil, nil
			if fields := compare(facts(a), facts(b)); len(fields) > 0 {
				out = append(out, change{Part: "Row “" + rowName(after, i) + "”", Fields: fields})
			}
		}
	}
	return out
}

func panelChanges(before, after *Dashboard) (out []change) {
	part := func(p Panel) string {
		if p.Title == "" {
			return "Panel " + p.ID
		}
		return "Panel “" + p.Title + "”"
	}
	moved := movedPanels(before, after)
	for _, row := range after.Rows {
		for _, p := range row.Panels {
			i, j, ok := before.panelNamed(p.ID)
			if !ok {
				out = append(out, change{Part: part(p), What: "added", Fields: compare(nil, panelFacts(p))})
				continue
			}
			c := change{Part: part(p), What: moved[p.ID], Fields: compare(panelFacts(before.Rows[i].Panels[j]), panelFacts(p))}
			if c.What != "" || len(c.Fields) > 0 {
				out = append(out, c)
			}
		}
	}
	for _, row := range before.Rows {
		for _, p := range row.Panels {
			if _, _, ok := after.panelNamed(p.ID); !ok {
				out = append(out, change{Part: part(p), What: "removed"})
			}
		}
	}
	return out
}

// movedPanels are those in another row, and those that changed their place in the row.
func movedPanels(before, after *Dashboard) map[string]string {
	out := map[string]string{}
	ids := func(d *Dashboard, row int) (list []string) {
		if row < len(d.Rows) {
			for _, p := range d.Rows[row].Panels {
				list = append(list, p.ID)
			}
		}
		return list
	}
	for i := range after.Rows {
		now, was := ids(after, i), ids(before, i)
		for _, id := range now {
			if row, _, ok := before.panelNamed(id); ok && row != i {
				out[id] = "moved to “" + rowName(after, i) + "”"
			}
		}
		for _, id := range reordered(was, now) {
			out[id] = "moved"
		}
	}
	return out
}

// facts are the fields of something as texts, by their names in the format.
func facts(x any) map[string]string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encode(x), &fields); err != nil {
		panic("dashboard: plain data: " + err.Error())
	}
	out := map[string]string{}
	for name, raw := range fields {
		if text := factText(raw); text != "" {
			out[strings.ReplaceAll(name, "_", " ")] = text
		}
	}
	return out
}

func factText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, ", ")
	}
	switch s := string(raw); s {
	case "true":
		return "yes"
	case "false":
		return "no"
	case "null":
		return ""
	default:
		return s
	}
}

// panelFacts are those of a panel, with a name for each part of it.
func panelFacts(p Panel) map[string]string {
	plain := p
	plain.ID, plain.Targets, plain.Overrides, plain.Thresholds, plain.Mappings, plain.Width, plain.Height = "", nil, nil, nil, nil, 0, 0
	out := facts(plain)
	delete(out, "id")
	out["size"] = fmt.Sprintf("%d × %d", p.width(), p.height())
	add := func(name, text string) {
		if text != "" {
			out[name] = text
		}
	}
	add("limits", thresholdText(p.Thresholds))
	add("texts in place of values", mappingText(p.Mappings))
	look := func(prefix string, l Look) {
		add(prefix+"limits", thresholdText(l.Thresholds))
		add(prefix+"texts in place of values", mappingText(l.Mappings))
		l.Thresholds, l.Mappings = nil, nil
		for name, text := range facts(l) {
			add(prefix+name, text)
		}
	}
	for i, t := range p.Targets {
		query := "query " + targetName(i)
		add(query, t.Expr)
		add(query+", legend", t.Legend)
		add(query+", step", t.Step)
		if t.Hidden {
			add(query+", kept only", "yes")
		}
		look(query+", ", t.Look)
	}
	for _, o := range p.Overrides {
		name := "series " + seriesText(o)
		if o.Not {
			name = "all but " + seriesText(o)
		}
		look(name+", ", o.Look)
	}
	return out
}

// compare lists what differs, in the order of the alphabet.
func compare(before, after map[string]string) (out []changedField) {
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != after[name] {
			out = append(out, changedField{name, before[name], after[name]})
		}
	}
	return out
}
