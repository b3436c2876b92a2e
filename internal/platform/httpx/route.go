package httpx

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Handler answers a request, or returns an error and has written nothing: the Mux turns the error into the answer that
// suits the client (a page, a fragment, problem+json).
type Handler func(w http.ResponseWriter, r *http.Request) error

// Access says who may use a route.
type Access string

// The kinds of access. Everything but Public is refused before the handler runs.
const (
	Public    Access = "public"    // anybody
	SignedIn  Access = "signed_in" // an account with a login
	Member    Access = "member"    // a member of the workspace in the path's {ws} with Route.Needs; strangers see 404
	APIKey    Access = "api_key"   // a workspace's key, or a person's token, with Route.Scope, as Authorization: Bearer
	Person    Access = "person"    // a person's token with Route.Scope, for what belongs to no workspace
	Handled   Access = "handled"   // the handler checks by itself (a peer's protocol wants its own error shape)
	Localhost Access = "localhost" // probes and metrics: anybody who can reach the port; listed apart so that tests see it
)

// Permission is what a role may do in a workspace. Config.Allows knows which role has which.
type Permission string

// The permissions.
const (
	MayBelong Permission = "belong" // every member: the workspace's front page, leaving it
	MayView   Permission = "view"   // see what the apps hold
	MayChange Permission = "change" // change what the apps hold
	MayManage Permission = "manage" // members, keys, settings
	MayAudit  Permission = "audit"  // the audit log and the log of API accesses
	MayBill   Permission = "bill"   // plan and invoices
	MayOwn    Permission = "own"    // owners, transfer, closing the workspace
)

// RateClass names a limit of Config.Rates. A route without one is refused when it is registered.
type RateClass string

// The classes. Limits are per client address, or per key where there is one.
const (
	RatePage   RateClass = "page"   // reading pages and the read API
	RateWrite  RateClass = "write"  // forms that change something
	RateAuth   RateClass = "auth"   // sign-in, sign-up, reset: guessing must be slow
	RateMail   RateClass = "mail"   // whatever sends mail
	RateIngest RateClass = "ingest" // machines that report
	RateLive   RateClass = "live"   // long-lived streams
	RateNone   RateClass = "none"   // probes and static files
)

// Route is one entry of the route table. Tests read the table: every route has a class, every one that changes state
// names an audit action, every API route is documented.
type Route struct {
	Method  string // GET, POST, …
	Path    string // ServeMux syntax; {ws} is the workspace id
	Handler Handler
	Access  Access
	Needs   Permission // for Member, and for people's tokens on APIKey
	App     string     // the app that it belongs to: only members whose access includes it; set by internal/app
	Scope   string     // for APIKey and Person: "ingest", "read", "write", "scim", "account"
	StepUp  bool       // only with a proof of identity that is younger than Config.Fresh
	Rate    RateClass
	Audit   string        // the audit action of a route that changes state, e.g. "api_key.create"
	NoAudit string        // why a state-changing method writes no audit event (e.g. "ingest is counted, not audited")
	MaxBody int64         // bytes; 0 is DefaultMaxBody
	Secrets []string      // path parameters that must not be logged, e.g. "token" of /magic/{token}
	Timeout time.Duration // of the handler; 0 is DefaultTimeout, negative is none (streams, downloads)
	API     *Operation

	// AnyPrefix serves the path under any prefix, with a trailing slash and with doubled slashes as well, and never by a
	// redirect: a redirected POST arrives without its body and looks like a success. Only for a path without wildcards.
	AnyPrefix bool
	// Fail answers the errors of this route where a peer's protocol has its own shape for them, those of the Mux
	// included (too many requests, a body that is too large, a panic). Nil: the shape that suits the client.
	Fail func(w http.ResponseWriter, status int, e *kernel.Error, requestID string)
}

// Operation documents an API route in the OpenAPI document. Schemas are Go values: their JSON tags are reflected.
type Operation struct {
	Summary     string
	Description string
	Query       []Param
	Request     any         // nil: no body
	Responses   map[int]any // status to example value of its type; nil value: no body
}

// Param documents a query or path parameter.
type Param struct {
	Name, Description, Example string
	Required                   bool
	Schema                     string // "string", "integer", "boolean", "date-time"
	Enum                       []string
}

// Actor is who makes a request. The zero Actor is anonymous.
type Actor struct {
	AccountID   kernel.AccountID   // a person; empty for a key
	Email       string             // of the person
	LoginID     kernel.ID          // the account session
	WorkspaceID kernel.WorkspaceID // the workspace in the path (Member) or of the key or token
	Workspace   string             // its name
	Role        string             // in that workspace: owner, admin, member, viewer, billing
	Apps        []string           // that the membership includes; nil is all
	KeyID       kernel.ID          // an API key; empty for a person
	TokenID     kernel.ID          // a personal or mobile token; AccountID is set then
	Scopes      []string           // of the key or token
	ProvedAt    time.Time          // when the person last proved who he is in this login
	Strong      bool               // by a passkey, or by a password and a second factor
}

// HasApp tells whether the actor's membership includes an app. Keys are not bound to apps.
func (a Actor) HasApp(app string) bool { return a.Apps == nil || slices.Contains(a.Apps, app) }

// Anonymous tells whether nobody is known.
func (a Actor) Anonymous() bool { return a.AccountID == "" && a.KeyID == "" }

// Authenticator finds out who makes a request. Core implements it; the Mux enforces Route.Access with it.
type Authenticator interface {
	// Login reads the session cookie. No or a dead cookie is the zero Actor and no error.
	Login(r *http.Request) (Actor, error)
	// Bearer reads the bearer token of a key or a person. No token is the zero Actor; a wrong, expired or revoked one is
	// Unauthenticated. A token that is for all of a person's workspaces leaves WorkspaceID empty.
	Bearer(r *http.Request) (Actor, error)
	// Membership fills the workspace fields of a person; not a member is NotFound, a member who lacks the second factor
	// that the workspace demands is Forbidden.
	Membership(ctx context.Context, a Actor, ws kernel.WorkspaceID) (Actor, error)
}

type actorKey struct{}

// WithActor returns a context that carries a.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf is who makes the request that ctx belongs to.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
