package app_test

import (
	"net/url"
	"testing"

	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit"
)

// TestOwnersHearOfUnusualSignIns: when somebody who may change members and keys signs in from a country that is new, the
// owners of the workspace are mailed, and nobody else. Of a mere member's journey they hear nothing.
func TestOwnersHearOfUnusualSignIns(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a := testkit.Start(t, engine, testkit.Config(func(c *config.Config) { c.TrustedProxy = []string{"127.0.0.1"} }))
		owner, bystander := a.SignedUp(t), a.SignedUp(t)
		admin, member := memberAs(t, a, owner.WorkspaceID, workspace.RoleAdmin), memberAs(t, a, owner.WorkspaceID, workspace.RoleMember)
		const dutch, german = "193.0.6.139", "130.149.7.201"
		signIn := func(p *testkit.Person, ip string) {
			t.Helper()
			testkit.NewBrowser(t, a.URL()).PostForm("/sign-in", url.Values{"email": {p.Email}, "password": {testkit.Password}}, "X-Forwarded-For: "+ip).Want(303)
		}
		mails := func(kind string, p *testkit.Person) (n int) {
			t.Helper()
			err := a.Control().QueryRow(t.Context(), `SELECT count(*) FROM mail_outbox WHERE type = $1 AND account_id = $2`, kind, p.AccountID).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		signIn(admin, dutch)
		signIn(member, dutch)
		if n := mails("unusual_sign_in_owner", owner); n != 0 {
			t.Fatalf("%d mails to the owner about the first country", n)
		}
		signIn(member, german)
		if own, owners := mails("unusual_sign_in", member), mails("unusual_sign_in_owner", owner); own != 1 || owners != 0 {
			t.Errorf("of a member's journey: %d mails to the member, %d to the owner", own, owners)
		}
		signIn(admin, german)
		if own, owners := mails("unusual_sign_in", admin), mails("unusual_sign_in_owner", owner); own != 1 || owners != 1 {
			t.Errorf("of an admin's journey: %d mails to the admin, %d to the owner", own, owners)
		}
		if n := mails("unusual_sign_in_owner", bystander) + mails("unusual_sign_in_owner", admin) + mails("unusual_sign_in_owner", member); n != 0 {
			t.Errorf("%d mails to others", n)
		}
	})
}

// TestAppsSetTheLeastAge: with the apps that are on, sign-up asks for an age of 16.
func TestAppsSetTheLeastAge(t *testing.T) {
	t.Parallel()
	a := testkit.Start(t)
	p := a.SignedUp(t)
	var met int
	if err := a.Control().QueryRow(t.Context(), `SELECT age_met FROM accounts WHERE id = $1`, p.AccountID).Scan(&met); err != nil || met != 16 {
		t.Errorf("the operator answers for an age of %d, %v", met, err)
	}
	exec(t, a, `UPDATE accounts SET age_met = 0 WHERE id = $1`, p.AccountID)
	b := testkit.NewBrowser(t, a.URL())
	b.PostForm("/sign-in", url.Values{"email": {p.Email}, "password": {testkit.Password}}).Want(303)
	b.Get("/sign-in/age").Want(200).Has("You must be 16 or older")
}
