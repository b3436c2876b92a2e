package testkit

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/kernel"
)

// Password is the password of everybody whom SignedUp makes.
const Password = "correct horse battery"

// Person is the owner of a workspace of his own, signed in with a browser of his own.
type Person struct {
	*Browser
	Email       string
	AccountID   kernel.AccountID
	WorkspaceID kernel.WorkspaceID
	Workspace   string // its name
	APIKey      string // with every scope
}

// SignedUp makes a person with a workspace and a key, and signs him in.
func (a *App) SignedUp(t testing.TB) *Person {
	t.Helper()
	tag := strings.ToLower(string(kernel.NewID(a.Clock.Now()))[20:])
	p := &Person{
		Browser: NewBrowser(t, a.URL()), Email: fmt.Sprintf("person-%s@example.com", tag), Workspace: "Workspace " + tag,
	}
	out, err := a.Setup(t.Context(), access.Setup{Email: p.Email, Password: Password, Workspace: p.Workspace})
	if err != nil {
		t.Fatalf("setup: %v", err)
	}
	p.AccountID, p.WorkspaceID, p.APIKey = out.AccountID, out.WorkspaceID, out.APIKey
	p.SignIn(p.Email, Password)
	return p
}

// Path is the address of a page of the person's workspace: Path("/jobs").
func (p *Person) Path(path string) string { return "/w/" + string(p.WorkspaceID) + path }

// SignIn signs the browser in with the form.
func (b *Browser) SignIn(email, password string) {
	b.t.Helper()
	b.PostForm("/sign-in", url.Values{"email": {email}, "password": {password}}).Want(303)
	if len(b.Cookies()) != 1 {
		b.t.Fatalf("signed in with the cookies %v", b.Cookies())
	}
}
