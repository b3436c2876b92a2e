package workspace

import (
	"slices"

	"github.com/kept-dev/kept/internal/platform/httpx"
)

// The roles of members, the mightiest first.
const (
	RoleOwner   = "owner"
	RoleAdmin   = "admin"
	RoleMember  = "member"
	RoleViewer  = "viewer"
	RoleBilling = "billing"
)

// Role is what a member may do.
type Role struct {
	Name  string
	About string // for people, one sentence
	may   []httpx.Permission
}

var roles = []Role{
	{RoleOwner, "Everything, also owners, plan and the end of the workspace.",
		[]httpx.Permission{httpx.MayBelong, httpx.MayView, httpx.MayChange, httpx.MayManage, httpx.MayAudit, httpx.MayBill, httpx.MayOwn}},
	{RoleAdmin, "Members, keys, settings and the audit log; everything in the apps.",
		[]httpx.Permission{httpx.MayBelong, httpx.MayView, httpx.MayChange, httpx.MayManage, httpx.MayAudit}},
	{RoleMember, "Sees and changes what the apps hold.",
		[]httpx.Permission{httpx.MayBelong, httpx.MayView, httpx.MayChange}},
	{RoleViewer, "Sees what the apps hold.",
		[]httpx.Permission{httpx.MayBelong, httpx.MayView}},
	{RoleBilling, "Plan and invoices only.",
		[]httpx.Permission{httpx.MayBelong, httpx.MayBill}},
}

// Roles lists all roles, the mightiest first.
func Roles() []Role { return slices.Clone(roles) }

// Allows tells whether a role has a permission. An unknown role has none.
func Allows(role string, p httpx.Permission) bool {
	i := slices.IndexFunc(roles, func(r Role) bool { return r.Name == role })
	return i >= 0 && slices.Contains(roles[i].may, p)
}
