package workspace_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// rights is the table of roles as it is promised.
const rights = `
        belong view change manage audit bill own
owner   x      x    x      x      x     x    x
admin   x      x    x      x      x     .    .
member  x      x    x      .      .     .    .
viewer  x      x    .      .      .     .    .
billing x      .    .      .      .     x    .
nobody  .      .    .      .      .     .    .
`

func TestRolesOverTheTable(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(rights), "\n")
	permissions := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for i, p := range permissions {
			if got := workspace.Allows(cells[0], httpx.Permission(p)); got != (cells[i+1] == "x") {
				t.Errorf("%s may %s: %v", cells[0], p, got)
			}
		}
	}
	if len(lines)-2 != len(workspace.Roles()) {
		t.Errorf("the table has %d roles, the code %d", len(lines)-2, len(workspace.Roles()))
	}
	for role, want := range map[string]string{
		"owner": "[owner admin member viewer billing]", "admin": "[admin member viewer]", "member": "[]", "viewer": "[]", "billing": "[]", "nobody": "[]",
	} {
		var names []string
		for _, r := range workspace.Grantable(role) {
			names = append(names, r.Name)
		}
		if got := fmt.Sprint(names); got != want {
			t.Errorf("%s may grant %s, want %s", role, got, want)
		}
	}
}

// TestRolesOverTheRoutes asks every route of the module as every role: whoever lacks the permission is refused before
// the handler runs, and nobody else is.
func TestRolesOverTheRoutes(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "First")
		for _, role := range workspace.Roles() {
			email := role.Name + "@example.org"
			account, _, _ := s.Owner(t, email, "Own")
			s.Join(t, ws, account, role.Name)
			b := s.Browser(t, "192.0.2.9").SignIn(email)
			for _, r := range s.Workspaces.Routes() {
				if r.Access != httpx.Member || strings.HasSuffix(r.Path, "/leave") && r.Method == "POST" {
					continue
				}
				path := strings.NewReplacer("{ws}", string(ws), "{account}", string(kernel.NewID(s.Clock.Now())), "{id}", string(kernel.NewID(s.Clock.Now()))).Replace(r.Path)
				a := b.Get(path)
				if r.Method == "POST" {
					a = b.Post(path)
				}
				if refused := a.Status == 403; refused == workspace.Allows(role.Name, r.Needs) {
					t.Errorf("%s: %s %s: status %d", role.Name, r.Method, r.Path, a.Status)
				}
			}
		}
	})
}

// team is a workspace with two people of each role.
type team struct {
	s  *accesstest.Stack
	ws kernel.WorkspaceID
}

func newTeam(t *testing.T, s *accesstest.Stack) team {
	t.Helper()
	first, ws, _ := s.Owner(t, owner, "Acme")
	tm := team{s: s, ws: ws}
	tm.person(t, "owner2@example.org", workspace.RoleOwner)
	_ = first
	return tm
}

// account makes an account without a workspace.
func account(t *testing.T, s *accesstest.Stack, email string) audit.Actor {
	t.Helper()
	a, _, err := s.Identity.EnsureAccount(t.Context(), email, accesstest.Password)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Actor{Kind: "account", ID: a.ID, Label: email}
}

func (tm team) person(t *testing.T, email, role string) audit.Actor {
	t.Helper()
	a := account(t, tm.s, email)
	tm.s.Join(t, tm.ws, a.ID, role)
	return a
}

// TestNobodyGrantsAboveHimself tries every change of every role by every role, removal and invitation included.
func TestNobodyGrantsAboveHimself(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		tm := newTeam(t, s)
		may := map[string][]string{"owner": {"owner", "admin", "member", "viewer", "billing"}, "admin": {"admin", "member", "viewer"}}
		actors := map[string]audit.Actor{}
		for _, r := range workspace.Roles() {
			actors[r.Name] = tm.person(t, "actor-"+r.Name+"@example.org", r.Name)
		}
		target := account(t, s, "target@example.org")
		for by, actor := range actors {
			for _, from := range workspace.Roles() {
				s.Join(t, tm.ws, target.ID, from.Name)
				for _, to := range workspace.Roles() {
					want := slices.Contains(may[by], from.Name) && slices.Contains(may[by], to.Name)
					err := s.Workspaces.SetRole(t.Context(), actor, tm.ws, target.ID, to.Name, nil)
					check(t, fmt.Sprintf("%s makes %s %s", by, from.Name, to.Name), err, want)
					if err == nil {
						reset(t, tm, target.ID, from.Name)
					}
				}
				err := s.Workspaces.Remove(t.Context(), actor, tm.ws, target.ID)
				check(t, by+" removes "+from.Name, err, slices.Contains(may[by], from.Name))
				if err != nil {
					mustDo(t, s.Workspaces.Leave(t.Context(), target, tm.ws))
				}
			}
			for _, to := range workspace.Roles() {
				in, err := s.Workspaces.Invite(t.Context(), actor, tm.ws, workspace.Invitation{Email: by + "-" + to.Name + "@example.org", Role: to.Name})
				want := slices.Contains(may[by], to.Name) && to.Name != "owner"
				if (err == nil) != want || err != nil && kernel.CodeOf(err) != kernel.Forbidden && kernel.CodeOf(err) != kernel.Invalid {
					t.Errorf("%s invites %s: %v", by, to.Name, err)
				}
				if err == nil && in.Role != to.Name {
					t.Errorf("invited as %s, want %s", in.Role, to.Name)
				}
			}
		}
	})
}

func check(t *testing.T, what string, err error, want bool) {
	t.Helper()
	if (err == nil) != want || err != nil && kernel.CodeOf(err) != kernel.Forbidden {
		t.Errorf("%s: %v, want allowed %v", what, err, want)
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func reset(t *testing.T, tm team, account kernel.AccountID, role string) {
	t.Helper()
	mustExec(t, tm.s, `UPDATE memberships SET role = $3 WHERE workspace_id = $1 AND account_id = $2`, tm.ws, account, role)
}
