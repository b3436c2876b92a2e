package privacy

import (
	"context"
	"net/http"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Sources is what checks, sweeps, exports and erasures look at; internal/app supplies it. A check whose source is
// missing answers Failed, so that a gap in the wiring shows instead of passing for a kept promise.
type Sources struct {
	// Databases are the databases by the name that Collection.Where uses. Two names may share one database.
	Databases []Database
	// Collections gathers the declarations of every module. It is asked at each use: modules are built after this one.
	Collections func() []Collection

	Workspaces Workspaces
	Plans      Planner
	Routes     RouteTable
	Audit      AuditVerifier
	Mail       MailCatalogue
	Payloads   PayloadPolicies // nil where the Jobs app is off
	Keys       KeyShredder
	Ages       Ages
	Facts      Facts
	Agreements Agreements
	Notices    Notices
	Recipients Recipients

	// SweepEvery is how often the sweep runs: an item may be that much older than its limit. 0 is DefaultSweepEvery.
	SweepEvery time.Duration
}

// DefaultSweepEvery is the interval of the retention sweep.
const DefaultSweepEvery = time.Hour

// Database is a database and its name in the data map.
type Database struct {
	Where string // "control database", "jobs database"
	DB    *db.DB
}

// Workspaces lists the workspaces that exist.
type Workspaces interface {
	WorkspaceIDs(ctx context.Context) ([]kernel.WorkspaceID, error)
}

// RouteTable lists the routes that the server answers; httpx.Mux is one.
type RouteTable interface {
	Table() []httpx.Route
}

// AuditVerifier walks the hash chain of the audit log.
type AuditVerifier interface {
	// VerifyAudit returns how many events it read and how many of them do not fit the chain. The error says only that
	// the log could not be read.
	VerifyAudit(ctx context.Context) (events, bad int64, err error)
}

// MailCatalogue lists the kinds of mail that can be sent.
type MailCatalogue interface {
	MailTypes() []MailType
}

// MailType is one kind of mail.
type MailType struct {
	Name      string // "password_reset"
	Marketing bool   // false: transactional
	OptIn     bool   // for marketing: refused without a stored opt-in, and one click opts out
}

// PayloadPolicies tells how job payloads are stored.
type PayloadPolicies interface {
	PayloadPolicies(ctx context.Context) (PayloadState, error)
}

// PayloadState counts projects by payload policy.
type PayloadState struct {
	Full, KeysOnly, None int64
	Undecided            int64 // projects without a policy
	Violations           int64 // payloads that are stored against their project's policy
}

// KeyShredder destroys a workspace's data key (seal.Keys is one), and with it whatever was sealed by it, backups included. Destroying a
// key that is gone is no error.
type KeyShredder interface {
	Shred(ctx context.Context, ws kernel.WorkspaceID) error
}

// Agreements knows what was agreed about the processing of data.
type Agreements interface {
	AgreementState(ctx context.Context) (AgreementState, error)
}

// AgreementState counts agreements and subprocessors.
type AgreementState struct {
	Signed        int64    // agreements
	InUse         int64    // subprocessors
	Announced     int64    // that are not in use yet
	WithoutNotice []string // names of those that came into use unannounced although somebody had signed
}

// Recipients knows where workspaces have their messages sent.
type Recipients interface {
	RecipientState(ctx context.Context) (RecipientState, error)
}

// RecipientState counts the hosts that workspaces chose as recipients. They are no processors of the operator's: each is
// listed to those who look after the workspace that chose it.
type RecipientState struct {
	Workspaces int64 // that chose some
	Hosts      int64
	Unknown    int64 // ways out of a workspace that name no host, so that it could not be listed
	Refused    int64 // requests since the start that would have gone to a host that nobody chose
}

// Notices knows what the operator told of the server itself.
type Notices interface {
	NoticeState(ctx context.Context) (NoticeState, error)
}

// NoticeState is whether notices about the server can be published, and whom they reached.
type NoticeState struct {
	Speaks bool  // somebody can publish them
	Told   int64 // updates that the owners of all workspaces were mailed
	Untold int64 // updates that they were not mailed, an hour after they were published
}

// Facts are settings in force that promises are about.
type Facts struct {
	// Cookies are the cookies that the server may set, with the attributes it would set now.
	Cookies []http.Cookie
	// TLS says how the server is reached.
	TLS TLSFact
	// Processors are the third parties that the configuration makes use of.
	Processors []Processor
	// Outbound are the hosts, other than processors', that the configuration makes the server connect to.
	Outbound []Outbound
}

// TLSFact says how the server is reached.
type TLSFact struct {
	Served  bool   // the process serves TLS itself
	Minimum uint16 // the lowest version it accepts, as crypto/tls numbers it
	Public  bool   // its public address begins with https, so that cookies must be Secure
}

// Processor is a third party that data goes to.
type Processor struct {
	Name    string `json:"name"`    // "Example Mail Ltd"
	Role    string `json:"role"`    // what Collection.Processor calls it, when not by name: "the mail server"
	Purpose string `json:"purpose"` // "delivers mail"
	Data    string `json:"data"`    // "names and e-mail addresses"
	Host    string `json:"host"`    // the host that is connected to
	Country string `json:"country"` // where it works; empty: unknown
}

// Outbound is a host that the server connects to.
type Outbound struct {
	Host    string
	Setting string // the setting that names it, for the operator
	// Own is true for what the operator runs himself, such as the database server: no third party.
	Own bool
}

// Inspection is the state that one run of the checks looks at.
type Inspection struct {
	Sources
	Map *Map
	Now time.Time
}

// sweepEvery is the sweep interval with its default.
func (s *Sources) sweepEvery() time.Duration {
	if s.SweepEvery > 0 {
		return s.SweepEvery
	}
	return DefaultSweepEvery
}

// workspaceIDs lists the workspaces; without a source that is an error.
func (s *Sources) workspaceIDs(ctx context.Context) ([]kernel.WorkspaceID, error) {
	if s.Workspaces == nil {
		return nil, errNoSource("list of workspaces")
	}
	return s.Workspaces.WorkspaceIDs(ctx)
}
