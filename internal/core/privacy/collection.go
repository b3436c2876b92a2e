package privacy

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Collection declares one table (or one kind of blob) that Kept stores: it is a row of the data map. A test compares
// the declared fields with the live schema on every engine, so a column that nobody declared fails the build.
type Collection struct {
	Name       string   // the table, e.g. "accounts"; for blobs "blob:" and the prefix
	Module     string   // who owns it
	Title      string   // for people: "Accounts"
	Subjects   string   // whose data: "account holders", "people in job payloads", "nobody"
	Purpose    string   // why it is kept
	LegalBasis string   // GDPR Art. 6(1): "contract", "legitimate interest", "consent", "legal obligation"
	Retention  string   // for people: "7 days on Free, 90 on Pro"
	Where      string   // "control database", "jobs database", "blob store"
	Processor  string   // third party that also sees it; empty: nobody
	Promises   []string // ids of PROMISES.md that it takes part in
	Fields     []Field

	// Oldest is when the oldest stored item of a workspace (empty: of all) was made; zero when there is none.
	Oldest func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error)
	// Count is how many items there are, of a workspace or of all.
	Count func(ctx context.Context, ws kernel.WorkspaceID) (int64, error)
	// Sweep removes what is older than the limit and returns how many items went. Nil: it has no time limit of its own.
	// It is also called with an empty workspace and the longest limit of all, for what belongs to no workspace (any
	// more); meaning "of all" by that is as good, since nothing that old may be kept.
	Sweep func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error)
	// MaxAge is the limit for a workspace, by plan; 0 keeps for ever. Nil where Sweep is.
	MaxAge func(ctx context.Context, ws kernel.WorkspaceID) (time.Duration, error)
	// Export streams a workspace's items as JSON values. Nil: says so in NoExport.
	Export   func(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error
	NoExport string // why it is not exported ("derived from the event log")
	// Erase removes everything of a workspace. Nil where EraseAccount or a cascade does it; NoErase says which.
	Erase   func(ctx context.Context, ws kernel.WorkspaceID) (int64, error)
	NoErase string
}

// Field declares one column.
type Field struct {
	Name     string
	Category Category
	Note     string // what it holds, for people
}

// Category says what kind of data a field is.
type Category string

// The categories, from harmless to most protected.
const (
	Technical  Category = "technical"  // ids, counters, versions, times of records
	Settings   Category = "settings"   // what a customer configured
	Identity   Category = "identity"   // names, e-mail addresses of people
	Contact    Category = "contact"    // how to reach somebody
	Network    Category = "network"    // IP addresses, user agents
	Secret     Category = "secret"     // hashes of credentials, wrapped keys: never shown
	Content    Category = "content"    // customers' content: must be sealed
	Telemetry  Category = "telemetry"  // job ids, queue names, states, durations
	Billing    Category = "billing"    // plan, invoices' address
	Diagnostic Category = "diagnostic" // our own logs
)
