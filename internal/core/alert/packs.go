package alert

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/internal/ui"
)

func (m *Module) pack(key string) (RulePack, error) {
	i := slices.IndexFunc(m.packs, func(p RulePack) bool { return p.Key == key })
	if i < 0 {
		return RulePack{}, kernel.Errorf(kernel.NotFound, "There is no such rule pack.")
	}
	return m.packs[i], nil
}

// EnablePack brings the rules of a pack into a workspace, as rules of its own that can be changed. Turned on again, it
// brings them back as they came.
func (m *Module) EnablePack(ctx context.Context, ws kernel.WorkspaceID, key string) error {
	p, err := m.pack(key)
	if err != nil {
		return err
	}
	groups, rules, list, err := m.readYAML(p.YAML)
	if err != nil {
		return fmt.Errorf("alert: pack %s: %w", key, err)
	}
	if len(rules) < len(list) {
		return fmt.Errorf("alert: pack %s has a wrong rule", key)
	}
	for i := range rules {
		rules[i].Pack = key
	}
	return m.replaceRules(ctx, ws, groups, rules, key, false)
}

// DisablePack takes the rules of a pack away.
func (m *Module) DisablePack(ctx context.Context, ws kernel.WorkspaceID, key string) error {
	if _, err := m.pack(key); err != nil {
		return err
	}
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE alert_rules SET deleted_at = $3, updated_at = $3, updated_by = $4 WHERE workspace_id = $1 AND pack = $2 AND deleted_at = 0`,
			string(ws), key, kernel.Micros(tx.Now()), account(ctx)); err != nil {
			return err
		}
		return m.touch(ctx, tx, ws)
	})
}

type packView struct {
	RulePack
	Rules  []packRule
	On     int // of its rules
	State  string
	Toggle ui.Action
}

type packRule struct {
	Rule
	Tone   ui.Tone
	Word   string
	Result string // what it would have done
}

type packsView struct {
	Packs []packView
	Empty *ui.Empty
	May   bool
	Href  string
	Test  string // key of the pack that is tried out
	Span  string
}

// packTestSpan is how far back a pack is tried out.
const packTestSpan = 7 * 24 * time.Hour

func (m *Module) packsPage(w http.ResponseWriter, r *http.Request) error {
	ctx, ws := r.Context(), wsOf(r)
	have, err := m.Rules(ctx, ws)
	if err != nil {
		return err
	}
	v := packsView{May: mayChange(r), Href: home(ws) + "/packs", Test: r.URL.Query().Get("test")}
	if len(m.packs) == 0 {
		v.Empty = &ui.Empty{Icon: "briefcase", Title: "No packs", Text: "No app that is turned on brings rules."}
	}
	for _, p := range m.packs {
		_, rules, _, err := m.readYAML(p.YAML)
		if err != nil {
			return fmt.Errorf("alert: pack %s: %w", p.Key, err)
		}
		view := packView{RulePack: p, State: "disabled"}
		for _, h := range have {
			if h.Pack == p.Key {
				view.On++
			}
		}
		if view.On > 0 {
			view.State = "enabled"
		}
		for _, rule := range rules {
			view.Rules = append(view.Rules, packRule{Rule: rule, Tone: severityTone(rule.Severity), Word: severityWord(rule.Severity)})
		}
		if v.Test == p.Key {
			m.tryPack(ctx, ws, view.Rules)
		}
		v.Packs = append(v.Packs, view)
	}
	return m.pages.Render(w, r, http.StatusOK, "packs", ui.Page{Title: "Rule packs", App: appKey, Section: v.Href, Body: v,
		Lead:   "Small sets of rules that are worth waking somebody for. Turned on, they are rules like your own: change or turn off each of them.",
		Toasts: toast(r, map[string]string{"on": "The pack is on.", "off": "The pack is off. Its rules can be brought back for 30 days."})})
}

// tryPack says of each rule what it would have done, as far as the time suffices.
func (m *Module) tryPack(ctx context.Context, ws kernel.WorkspaceID, list []packRule) {
	ctx, cancel := context.WithTimeout(ctx, 2*backtestTime)
	defer cancel()
	for i := range list {
		if !list[i].IsAlert() {
			continue
		}
		if ctx.Err() != nil {
			list[i].Result = "there was no time left to look"
			continue
		}
		b, err := m.Backtest(ctx, ws, list[i].Rule, time.Minute, packTestSpan, false)
		switch {
		case err != nil:
			list[i].Result = firstNote(err)
		case b.Total == 0:
			list[i].Result = "would not have fired"
		default:
			list[i].Result, _ = ui.Plural(b.Total, "time", "times")
			list[i].Result = "would have fired " + list[i].Result
		}
	}
}

func (m *Module) enablePackPost(w http.ResponseWriter, r *http.Request) error {
	return m.flipPack(w, r, "alert_pack.enable", m.EnablePack, "on")
}

func (m *Module) disablePackPost(w http.ResponseWriter, r *http.Request) error {
	return m.flipPack(w, r, "alert_pack.disable", m.DisablePack, "off")
}

func (m *Module) flipPack(w http.ResponseWriter, r *http.Request, action string, change func(context.Context, kernel.WorkspaceID, string) error, done string) error {
	form, err := httpx.ReadForm(r)
	if err != nil {
		return err
	}
	key := form.Get("pack")
	if err := change(r.Context(), wsOf(r), key); err != nil {
		return err
	}
	if err := m.d.Audit(r.Context(), action, "alert_pack:"+key, ""); err != nil {
		return err
	}
	return respond.SeeOther(w, r, home(wsOf(r))+"/packs?done="+done)
}
