package alert

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"

	"github.com/kept-dev/kept/internal/kernel"
)

// maxYAML bounds a file of rules, bytes.
const maxYAML = 1 << 20

func modelDuration(d time.Duration) model.Duration { return model.Duration(d) }

// Imported is what an import makes of one rule of a file.
type Imported struct {
	Group, Name string
	Kind        string // "alert", "record"
	Problem     string // why it cannot be taken; empty: it can
}

// readYAML reads rule groups as Prometheus does. The error says that the file as a whole cannot be read; what is wrong
// with single rules is in the list, and those rules are not among the result.
func (m *Module) readYAML(text []byte) (groups []Group, out []Rule, list []Imported, err error) {
	if len(text) > maxYAML {
		return nil, nil, nil, kernel.InvalidField("yaml", "The file is larger than 1 MiB.")
	}
	file, errs := rulefmt.Parse(text, false, model.UTF8Validation, m.parser, slog.New(slog.DiscardHandler))
	if file == nil || len(file.Groups) == 0 {
		if len(errs) > 0 {
			return nil, nil, nil, kernel.InvalidField("yaml", errs[0].Error())
		}
		return nil, nil, nil, kernel.InvalidField("yaml", "There are no groups in it. A file of rules begins with groups:.")
	}
	bad := map[string]map[int]string{}
	for _, e := range errs {
		var ofRule *rulefmt.Error
		if !errors.As(e, &ofRule) {
			return nil, nil, nil, kernel.InvalidField("yaml", e.Error())
		}
		if bad[ofRule.Group] == nil {
			bad[ofRule.Group] = map[int]string{}
		}
		bad[ofRule.Group][ofRule.Rule-1] = ofRule.Err.Error()
	}
	for _, g := range file.Groups {
		if every := time.Duration(g.Interval); every != 0 && (every < minInterval || every > maxInterval) {
			return nil, nil, nil, kernel.InvalidField("yaml", "Group "+g.Name+": an interval is between 5 seconds and a day.")
		}
		groups = append(groups, Group{Name: g.Name, Interval: g.Interval, QueryOffset: g.QueryOffset, Limit: g.Limit, Labels: g.Labels})
		for i, in := range g.Rules {
			r := ofFormat(g.Name, in)
			row := Imported{Group: g.Name, Name: r.Name, Kind: "alert", Problem: bad[g.Name][i]}
			if !r.IsAlert() {
				row.Kind = "record"
			}
			if row.Problem == "" {
				if _, err := m.check(r); err != nil {
					row.Problem = firstNote(err)
				}
			}
			list = append(list, row)
			if row.Problem == "" {
				out = append(out, r)
			}
		}
	}
	return groups, out, list, nil
}

// firstNote is what an Invalid error says.
func firstNote(err error) string {
	e := kernel.AsError(err)
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		return e.Fields[name]
	}
	return e.Safe
}

// ImportYAML takes rule groups in the place of those of the same names, or of all rules that no pack brought. Rules that are
// as they were keep their alerts and history. Where a rule is wrong nothing is changed, unless skip says to leave it out.
func (m *Module) ImportYAML(ctx context.Context, ws kernel.WorkspaceID, text []byte, all, skip bool) ([]Imported, error) {
	groups, rules, list, err := m.readYAML(text)
	if err != nil {
		return list, err
	}
	if len(rules) < len(list) && !skip {
		return list, kernel.InvalidField("yaml", "Nothing was imported: some rules are wrong.")
	}
	return list, m.replaceRules(ctx, ws, groups, rules, "", all)
}

// compiled are a workspace's rules as Prometheus groups: those that are turned on, or all of them. ids has the id of each
// rule by group and place.
func (m *Module) compiled(ctx context.Context, ws kernel.WorkspaceID, onlyOn bool) (*rulefmt.RuleGroups, map[string][]kernel.ID, error) {
	rules, err := m.Rules(ctx, ws)
	if err != nil {
		return nil, nil, err
	}
	settings, err := m.Groups(ctx, ws)
	if err != nil {
		return nil, nil, err
	}
	out, ids := &rulefmt.RuleGroups{}, map[string][]kernel.ID{}
	for _, r := range rules {
		if onlyOn && !r.Enabled {
			continue
		}
		c, err := m.compile(r)
		if err != nil { // it was checked when it was stored, perhaps by another version of this program
			m.d.Logger.Error("alert: a stored rule cannot be compiled", "rule", r.ID, "error", err)
			continue
		}
		if n := len(out.Groups); n == 0 || out.Groups[n-1].Name != r.Group {
			g := settings[r.Group]
			out.Groups = append(out.Groups, rulefmt.RuleGroup{Name: r.Group, Interval: g.Interval, QueryOffset: g.QueryOffset, Limit: g.Limit, Labels: g.Labels})
		}
		last := &out.Groups[len(out.Groups)-1]
		last.Rules = append(last.Rules, c)
		ids[r.Group] = append(ids[r.Group], r.ID)
	}
	return out, ids, nil
}

// ExportYAML writes all rules as a file that Prometheus and promtool read. Rules that are turned off are left out: a file
// for Prometheus has no word for them.
func (m *Module) ExportYAML(ctx context.Context, ws kernel.WorkspaceID, w io.Writer) error {
	groups, _, err := m.compiled(ctx, ws, true)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(groups); err != nil {
		return err
	}
	_, err = w.Write(buf.Bytes())
	return err
}
