package identity

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
)

// activityShown is how many lines the security page has.
const activityShown = 15

// Activity is one line of what happened to an account lately.
type Activity struct {
	At     time.Time
	Text   string
	Detail string
	IP     string
	Failed bool
}

// activityTexts say in words what the audit log names. What is not here is of no account.
var activityTexts = map[string]string{
	"login.create": "Signed in", "login.unusual": "Unusual sign-in", "login.end": "Signed out", "login.end_others": "Other devices signed out",
	"login.end_all": "Signed out everywhere", "identity.prove": "Confirmed that it is you", "password.confirm": "Password asked for again",
	"password.change": "Password changed", "password.reset": "Password reset", "email.change_request": "New address asked for", "email.change": "Address changed",
	"account.create": "Account opened", "account.rename": "Name changed", "account.locate": "Location changed",
	"passkey.create": "Passkey added", "passkey.rename": "Passkey renamed", "passkey.remove": "Passkey removed", "passkey.clone_warning": "Copied passkey refused",
	"totp.create": "Authenticator app added", "totp.remove": "Authenticator app removed", "recovery.create": "New recovery codes",
	"provider.link": "Provider linked", "provider.unlink": "Provider unlinked", "token.create": "Personal token made", "token.revoke": "Personal token revoked",
	"mobile.reuse": "Used token of an app refused",
}

// activity is what the person did and what was tried on the account, the newest first.
func (m *Module) activity(ctx context.Context, account kernel.AccountID) ([]Activity, error) {
	if m.d.Audit == nil {
		return nil, nil
	}
	var all []audit.Entry
	for _, f := range []audit.Filter{{Actor: string(account)}, {Target: "account:" + string(account)}} {
		f.Limit = 2 * activityShown
		entries, _, err := m.d.Audit.List(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(a, b audit.Entry) int { return cmp.Compare(b.Seq, a.Seq) })
	all = slices.CompactFunc(all, func(a, b audit.Entry) bool { return a.Seq == b.Seq })
	var out []Activity
	for _, e := range all {
		text, known := activityTexts[e.Action]
		if known && len(out) < activityShown {
			out = append(out, Activity{At: e.At, Text: text, Detail: e.Detail, IP: e.IP, Failed: e.Result != audit.OK})
		}
	}
	return out, nil
}
