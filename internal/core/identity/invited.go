package identity

import (
	"context"

	"github.com/kept-dev/kept/internal/platform/db"
)

// scopeInvite counts invitations to one address, from whichever workspace: somebody who does not want them must not
// drown in them.
const scopeInvite = "invite"

const invitationsPerDay = 3

// InvitationAllowed counts an invitation to an address and tells whether it may be mailed. It knows nothing of accounts,
// so its answer may be shown.
func InvitationAllowed(ctx context.Context, tx *db.Tx, addr Address) (bool, error) {
	n, err := bump(ctx, tx, scopeInvite, subject(scopeInvite, addr.Key))
	return n <= invitationsPerDay, err
}

// SignUpFor is the path at which the owner of an address finishes signing up. Whoever calls it has seen a proof that the
// visitor owns the address, such as the secret of a mail that went there. next is where to go afterwards.
func (m *Module) SignUpFor(ctx context.Context, tx *db.Tx, email, next string) (path string, err error) {
	addr, err := ParseAddress(email)
	if err != nil {
		return "", err
	}
	secret, err := issue(ctx, tx, token{purpose: forSignUp, email: addr.Typed, next: localPath(next)}, signUpTTL)
	return pathSignUpFinish + "?token=" + secret, err
}
