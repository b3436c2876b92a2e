package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// CertificateLife is for how long a certificate stands for its key. Whoever has it shows a new one well before.
const CertificateLife = 30 * 24 * time.Hour

// maxCertificates is how many certificates may stand for one key: the present one, and those that are about to follow.
const maxCertificates = 3

// CertificateOf is the client certificate that a request's connection was made with; nil without one. TLS has made sure
// that whoever asks has its private key.
func CertificateOf(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// pin is what is stored of a certificate: a hash of its public key. Nobody issues these certificates, so nothing else in
// them counts, as with the keys of SSH.
func pin(c *x509.Certificate) [32]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// AddCertificate lets whoever has a certificate's private key act as an API key does, for CertificateLife from now on. The
// certificate must be signed by its own key, which shows that whoever sends it has that.
func (m *Module) AddCertificate(ctx context.Context, ws kernel.WorkspaceID, key kernel.ID, c *x509.Certificate) (until time.Time, err error) {
	if err := checkCertificate(c); err != nil {
		return until, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		until, err = addCertificate(ctx, tx, ws, key, c)
		return err
	})
	return until, err
}

func addCertificate(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, key kernel.ID, c *x509.Certificate) (until time.Time, err error) {
	hash, now := pin(c), kernel.Micros(tx.Now())
	if _, err := tx.Exec(ctx, `DELETE FROM key_certificates WHERE key_id = $1 AND expires_at <= $2`, key, now); err != nil {
		return until, err
	}
	var living, certificates int
	err = tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM api_keys WHERE workspace_id = $1 AND id = $2 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $3)),
		(SELECT count(*) FROM key_certificates WHERE key_id = $2)`, ws, key, now).Scan(&living, &certificates)
	switch {
	case err != nil:
		return until, err
	case living == 0:
		return until, errWrongBearer()
	case certificates >= maxCertificates:
		return until, kernel.Errorf(kernel.Conflict, "There are %d certificates for this key already. Use the newest, and the others end.", certificates)
	}
	until = tx.Now().Add(CertificateLife)
	n, err := tx.Exec(ctx, `INSERT INTO key_certificates (pin, workspace_id, key_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (pin) DO NOTHING`,
		hash[:], ws, key, now, kernel.Micros(until))
	if err == nil && n == 0 {
		err = kernel.Errorf(kernel.Conflict, "This certificate is in use already. Make a new one.")
	}
	return until, err
}

func checkCertificate(c *x509.Certificate) error {
	switch k := c.PublicKey.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return kernel.InvalidField("certificate", "The key must be of ECDSA P-256 or P-384, or Ed25519.")
		}
	default:
		return kernel.InvalidField("certificate", "The key must be of ECDSA P-256 or P-384, or Ed25519.")
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return kernel.InvalidField("certificate", "The certificate must be signed by its own key.")
	}
	return nil
}

// ByCertificate is who a client certificate stands for; one that nobody knows, that has expired, or whose key was revoked
// is Unauthenticated.
func (m *Module) ByCertificate(ctx context.Context, c *x509.Certificate) (httpx.Actor, error) {
	hash, now := pin(c), m.d.Clock()
	it, err := m.keys.load(hash, now, func() (Key, error) { return m.keyByPin(ctx, hash) })
	if err != nil {
		return httpx.Actor{}, err
	}
	if it.value.Expired(now) {
		return httpx.Actor{}, errWrongCertificate()
	}
	return m.actorOf(it, now), nil
}

func errWrongCertificate() error {
	return kernel.Errorf(kernel.Unauthenticated, "This client certificate is not known, has expired, or its key was revoked. Enrol the host again.")
}

// keyByPin finds the key that a certificate stands for. It ends when the first of the two does.
func (m *Module) keyByPin(ctx context.Context, hash [32]byte) (k Key, err error) {
	var id kernel.ID
	var ws kernel.WorkspaceID
	var expires int64
	err = m.db.QueryRow(ctx, `SELECT key_id, workspace_id, expires_at FROM key_certificates WHERE pin = $1`, hash[:]).Scan(&id, &ws, &expires)
	if errors.Is(err, db.ErrNoRows) {
		return k, errWrongCertificate()
	}
	if err != nil {
		return k, err
	}
	if k, err = m.FindKey(ctx, ws, id); err != nil {
		return k, err
	}
	if k.Revoked() {
		return k, errWrongCertificate()
	}
	if until := kernel.FromMicros(expires); k.ExpiresAt.IsZero() || until.Before(k.ExpiresAt) {
		k.ExpiresAt = until
	}
	return k, nil
}

// RenewCertificate adds a certificate to the key that another one, old, stands for. Those that came after old end: whoever
// still shows that one never heard that they were taken, and will not show them.
func (m *Module) RenewCertificate(ctx context.Context, by httpx.Actor, old, fresh *x509.Certificate) (until time.Time, err error) {
	if old == nil {
		return until, errNotShown()
	}
	if err := checkCertificate(fresh); err != nil {
		return until, err
	}
	hash := pin(old)
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		var since int64
		err := tx.QueryRow(ctx, `SELECT created_at FROM key_certificates WHERE pin = $1 AND key_id = $2`, hash[:], by.KeyID).Scan(&since)
		if errors.Is(err, db.ErrNoRows) {
			return errNotShown()
		}
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.forgetKey(by.KeyID) })
		if _, err := tx.Exec(ctx, `DELETE FROM key_certificates WHERE key_id = $2 AND pin <> $1 AND created_at >= $3`, hash[:], by.KeyID, since); err != nil {
			return err
		}
		until, err = addCertificate(ctx, tx, by.WorkspaceID, by.KeyID, fresh)
		return err
	})
	return until, err
}

func errNotShown() error {
	return kernel.Errorf(kernel.Forbidden, "Only whoever shows a certificate may renew it.")
}

// UsesCertificate notes that a certificate is in use: those of the same key that came before it end.
func (m *Module) UsesCertificate(ctx context.Context, key kernel.ID, c *x509.Certificate) error {
	if c == nil {
		return nil
	}
	hash := pin(c)
	var before int
	err := m.db.QueryRow(ctx, `SELECT count(*) FROM key_certificates WHERE key_id = $2 AND pin <> $1
		AND created_at <= (SELECT created_at FROM key_certificates WHERE pin = $1 AND key_id = $2)`, hash[:], key).Scan(&before)
	if err != nil || before == 0 {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(func() { m.forgetKey(key) })
		_, err := tx.Exec(ctx, `DELETE FROM key_certificates WHERE key_id = $2 AND pin <> $1
			AND created_at <= (SELECT created_at FROM key_certificates WHERE pin = $1 AND key_id = $2)`, hash[:], key)
		return err
	})
}

// CreateHostKey makes the key of a host that is enrolled: it may report, and it does not count among the keys that people
// make. There may be most of them; 0 is no limit.
func (m *Module) CreateHostKey(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID, name string, most int64) (k Key, text string, err error) {
	return m.makeKey(ctx, by, ws, NewKey{Name: name, Scopes: []string{ScopeIngest}, host: true}, func(tx *db.Tx) error { return roomForHost(ctx, tx, ws, most) })
}

func roomForHost(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, most int64) error {
	living, err := countKeys(ctx, tx, ws, true)
	if err == nil && most > 0 && living >= most {
		return kernel.Errorf(kernel.Conflict, "This workspace has %d enrolled hosts, which is the most it may have. Remove one, and revoke its key.", living)
	}
	return err
}

// CountHostKeys counts the keys of hosts that work.
func (m *Module) CountHostKeys(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err = countKeys(ctx, tx, ws, true)
		return err
	})
	return n, err
}

func countKeys(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, hosts bool) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM api_keys WHERE workspace_id = $1 AND of_host = $3 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $2)`,
		ws, kernel.Micros(tx.Now()), db.Flag(hosts)).Scan(&n)
	return n, err
}
