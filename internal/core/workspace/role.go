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

// Above tells whether r may do something that other may not. It is no order: of two roles each can be above the other,
// as admin and billing are. Nobody grants, changes or removes a role that is above his own.
func (r Role) Above(other Role) bool {
	return slices.ContainsFunc(r.may, func(p httpx.Permission) bool { return !slices.Contains(other.may, p) })
}

// Grantable lists the roles that somebody with a role may give to others, the mightiest first.
func Grantable(role string) []Role {
	own, ok := roleNamed(role)
	if !ok || !Allows(role, httpx.MayManage) {
		return nil
	}
	return slices.DeleteFunc(Roles(), func(r Role) bool { return r.Above(own) })
}

func roleNamed(name string) (Role, bool) {
	i := slices.IndexFunc(roles, func(r Role) bool { return r.Name == name })
	if i < 0 {
		return Role{}, false
	}
	return roles[i], true
}
