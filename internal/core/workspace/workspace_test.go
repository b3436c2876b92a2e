package workspace_test

import (
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
)

const owner = "ann@example.org"

func TestStartSendsEverybodyWhereTheyBelong(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		b := s.Browser(t, "192.0.2.1")
		b.Get("/").To("/sign-in")
		b.Get("/workspaces").To("/sign-in?next=%2Fworkspaces")
		account, ws, _ := s.Owner(t, owner, "First")
		b.SignIn(owner).Get("/").To("/w/" + string(ws) + "/settings")
		b.Get("/w/" + string(ws)).To("/w/" + string(ws) + "/settings")
		if _, err := s.Workspaces.Create(t.Context(), audit.Actor{Kind: "account", ID: account}, "Second"); err != nil {
			t.Fatal(err)
		}
		b.Get("/").To("/workspaces")
		b.Get("/workspaces").Is(200, "First", "Second", "New workspace")
		b.Get("/w/"+string(ws)+"/settings").Is(200, "Switch workspace", "Second")
	})
}

func TestCreateAndRename(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "First")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		path := accesstest.Settings(ws)
		b.Post("/workspaces", "name", "   ").Is(422, "Give the workspace a name")
		b.Post("/workspaces", "name", strings.Repeat("ü", 61)).Is(422, "at most 60")
		b.Post(path, "name", "\u202egnitsaf").Is(422, "visible characters")
		b.Post(path, "name", "").Is(422, "Give the workspace a name")
		b.Post(path, "name", " Acme   <b> ").To(path + "?done=name")
		a := b.Get(path+"?done=name").Is(200, `value="Acme <b>"`, "The name is saved.")
		if strings.Contains(a.Body, "Acme <b>") {
			t.Error("the name is not escaped")
		}
		entries, _, err := s.Audit.List(t.Context(), audit.Filter{WorkspaceID: ws, Action: "workspace.rename"})
		if err != nil || len(entries) != 1 || entries[0].Detail != "First → Acme <b>" || entries[0].Actor != owner {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}

// TestRenameIsSeenAtOnce: the name in the frame comes from a memory that must be told.
func TestRenameIsSeenAtOnce(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		_, ws, _ := s.Owner(t, owner, "First")
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Get(accesstest.Settings(ws)).Is(200, "First")
		b.Post(accesstest.Settings(ws), "name", "Other").To(accesstest.Settings(ws) + "?done=name")
		b.Get(accesstest.Settings(ws)).Is(200, "Other").Lacks("First")
	})
}

func TestOneWorkspaceTooMany(t *testing.T) {
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) {
		account, _, _ := s.Owner(t, owner, "W")
		by := audit.Actor{Kind: "account", ID: account}
		for {
			if _, err := s.Workspaces.Create(t.Context(), by, "Another"); err != nil {
				if kernel.CodeOf(err) != kernel.Conflict {
					t.Error(err)
				}
				break
			}
		}
		b := s.Browser(t, "192.0.2.1").SignIn(owner)
		b.Post("/workspaces", "name", "Mine").Is(409, `value="Mine"`, "the most that one person may have")
	})
}
