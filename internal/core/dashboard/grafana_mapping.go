package dashboard

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// grafanaMapping is a text in place of values, of the kind before version 8 or after.
type grafanaMapping struct {
	Type    json.RawMessage `json:"type"` // "value", "range", "regex", "special"; 1 or 2 before
	Options json.RawMessage `json:"options"`

	Value string          `json:"value"` // of the kind before
	Text  string          `json:"text"`
	From  json.RawMessage `json:"from"`
	To    json.RawMessage `json:"to"`
}

type grafanaResult struct {
	Text  string  `json:"text"`
	Color string  `json:"color"`
	Index float64 `json:"index"`
}

// grafanaOldMap is an entry of valueMaps or rangeMaps.
type grafanaOldMap struct {
	Value string          `json:"value"`
	From  json.RawMessage `json:"from"`
	To    json.RawMessage `json:"to"`
	Text  string          `json:"text"`
}

// mappings takes over texts in place of values, and what stands where there is none.
func (im *importer) mappings(title string, g grafanaPanel, p *Panel) {
	f := g.FieldConfig.Defaults
	p.Mappings = im.mapped(title, f.Mappings)
	for _, m := range slices.Concat(g.ValueMaps, g.RangeMaps) {
		old := grafanaMapping{Value: m.Value, Text: m.Text, From: m.From, To: m.To}
		p.Mappings = append(p.Mappings, im.oldMapping(title, old)...)
	}
	if f.NoValue != "" {
		p.Mappings = append(p.Mappings, Mapping{None: true, Text: clip(f.NoValue, maxTitle-1)})
	}
	if n := len(p.Mappings); n > maxMappings {
		im.note(title, "It has %d texts in place of values; the last %d are left out.", n, n-maxMappings)
		p.Mappings = p.Mappings[:maxMappings]
	}
	if label := grafanaLabel(f.Name); label != "" {
		for i := range p.Targets {
			p.Targets[i].Label = clip(label, maxTitle-1)
		}
	}
}

func (im *importer) mapped(title string, list []grafanaMapping) (out []Mapping) {
	for _, m := range list {
		switch strings.Trim(string(m.Type), `"`) {
		case "value":
			out = append(out, im.valueMapping(title, m.Options)...)
		case "range":
			var o struct {
				From   *float64      `json:"from"`
				To     *float64      `json:"to"`
				Result grafanaResult `json:"result"`
			}
			if json.Unmarshal(m.Options, &o) == nil {
				out = im.addMapping(out, Mapping{From: o.From, To: o.To}, o.Result)
			}
		case "regex":
			var o struct {
				Pattern string        `json:"pattern"`
				Result  grafanaResult `json:"result"`
			}
			if json.Unmarshal(m.Options, &o) == nil {
				if re, ok := grafanaRegex(o.Pattern); ok {
					out = im.addMapping(out, Mapping{Match: re}, o.Result)
					continue
				}
			}
			im.note(title, "The regular expression of a text in place of values is not understood (%s).", clip(o.Pattern, 60))
		case "special":
			out = append(out, im.specialMapping(m.Options)...)
		case "1", "2":
			out = append(out, im.oldMapping(title, m)...)
		default:
			im.note(title, "Texts in place of values of the kind %s are not understood.", clip(string(m.Type), 40))
		}
	}
	return out
}

// addMapping adds a mapping with its text and tone, where it says anything.
func (im *importer) addMapping(list []Mapping, m Mapping, r grafanaResult) []Mapping {
	m.Text = clip(r.Text, maxTitle-1)
	if r.Color != "" && r.Color != "text" && r.Color != "transparent" {
		m.Tone = toneOfColor(r.Color)
	}
	some := m.Value != nil || m.From != nil || m.To != nil || m.Match != "" || m.None
	if !some || m.Text == "" && m.Tone == "" || m.From != nil && m.To != nil && *m.From > *m.To {
		return list
	}
	return append(list, m)
}

func (im *importer) valueMapping(title string, raw json.RawMessage) (out []Mapping) {
	var all map[string]grafanaResult
	if json.Unmarshal(raw, &all) != nil {
		im.note(title, "Texts in place of single values cannot be read.")
		return nil
	}
	keys := make([]string, 0, len(all))
	for key := range all {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(all[a].Index, all[b].Index), cmp.Compare(a, b)) })
	for _, key := range keys {
		v, err := strconv.ParseFloat(key, 64)
		switch {
		case err == nil && v-v == 0:
			out = im.addMapping(out, Mapping{Value: &v}, all[key])
		case key == "null" || key == "NaN":
			out = im.addMapping(out, Mapping{None: true}, all[key])
		case key == "true" || key == "false":
			out = im.addMapping(out, Mapping{Value: truth(key)}, all[key])
		default:
			im.note(title, "What stands in place of the text %q is not taken over: values are numbers here.", clip(key, 40))
		}
	}
	return out
}

func truth(s string) *float64 {
	v := 0.0
	if s == "true" {
		v = 1
	}
	return &v
}

func (im *importer) specialMapping(raw json.RawMessage) []Mapping {
	var o struct {
		Match  string        `json:"match"`
		Result grafanaResult `json:"result"`
	}
	if json.Unmarshal(raw, &o) != nil {
		return nil
	}
	m := Mapping{None: true} // null, nan, null+nan, empty
	if o.Match == "true" || o.Match == "false" {
		m = Mapping{Value: truth(o.Match)}
	}
	return im.addMapping(nil, m, o.Result)
}

func (im *importer) oldMapping(title string, m grafanaMapping) []Mapping {
	r := grafanaResult{Text: m.Text}
	if m.Value == "null" || strings.Trim(string(m.From), `"`) == "null" {
		return im.addMapping(nil, Mapping{None: true}, r)
	}
	if m.Value != "" {
		v := number(json.RawMessage(m.Value))
		if v == nil {
			im.note(title, "What stands in place of the text %q is not taken over: values are numbers here.", clip(m.Value, 40))
		}
		return im.addMapping(nil, Mapping{Value: v}, r)
	}
	return im.addMapping(nil, Mapping{From: number(m.From), To: number(m.To)}, r)
}
