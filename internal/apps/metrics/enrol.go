package metrics

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
	"github.com/kept-dev/kept/wire/agentapi"
)

// tokenPrefix is how tokens for enrolling begin.
const tokenPrefix = "kepte_"

// tokenLife is for how long a token may be used, once.
const tokenLife = time.Hour

// maxTokens is how many unused tokens a workspace may have.
const maxTokens = 50

// NewToken makes a token by which one agent may get a key, and returns its text, which is stored nowhere.
func (m *Module) NewToken(ctx context.Context, by audit.Actor, ws kernel.WorkspaceID) (id kernel.ID, text string, err error) {
	raw := make([]byte, 20)
	rand.Read(raw)
	text = tokenPrefix + hex.EncodeToString(raw)
	hash := sha256.Sum256([]byte(text))
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		now := kernel.Micros(tx.Now())
		var living int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM host_tokens WHERE workspace_id = $1 AND used_at = 0 AND expires_at > $2`, ws, now).Scan(&living); err != nil {
			return err
		}
		if living >= maxTokens {
			return kernel.Errorf(kernel.Conflict, "There are %d unused tokens, which is the most there may be. They end by themselves within an hour.", living)
		}
		id = kernel.NewID(tx.Now())
		_, err := tx.Exec(ctx, `INSERT INTO host_tokens (token_hash, id, workspace_id, created_by, created_at, expires_at, used_at, instance)
			VALUES ($1, $2, $3, $4, $5, $6, 0, '')`, hash[:], id, ws, string(by.ID), now, kernel.Micros(tx.Now().Add(tokenLife)))
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: ws, Actor: by, Action: "host_token.create", Target: "host_token:" + string(id), Detail: "for one host, for an hour"})
	})
	return id, text, err
}

// enrolment is what a token is good for.
type enrolment struct {
	id   kernel.ID
	ws   kernel.WorkspaceID
	name string // of the workspace
	by   audit.Actor
}

var errToken = kernel.Errorf(kernel.Unauthenticated, "This token is wrong, was used already or is over an hour old. Make a new one on the page for connecting a host.")

// useToken takes a token, so that nobody else can.
func (m *Module) useToken(ctx context.Context, text, instance string) (e enrolment, err error) {
	if !strings.HasPrefix(text, tokenPrefix) || len(text) > 100 {
		return e, errToken
	}
	hash := sha256.Sum256([]byte(text))
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE host_tokens SET used_at = $2, instance = $3 WHERE token_hash = $1 AND used_at = 0 AND expires_at > $2`,
			hash[:], kernel.Micros(tx.Now()), instance)
		if err != nil {
			return err
		}
		if n == 0 {
			return errToken
		}
		e.by.Kind = "account"
		return tx.QueryRow(ctx, `SELECT t.id, t.workspace_id, w.name, t.created_by, a.email FROM host_tokens t
			JOIN workspaces w ON w.id = t.workspace_id JOIN accounts a ON a.id = t.created_by WHERE t.token_hash = $1`, hash[:]).
			Scan(&e.id, &e.ws, &e.name, &e.by.ID, &e.by.Label)
	})
	return e, err
}

// giveBack lets a token be used again, when what it was used for failed.
func (m *Module) giveBack(ctx context.Context, id kernel.ID) error {
	return m.d.DB.Tx(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE host_tokens SET used_at = 0, instance = '' WHERE id = $1`, id)
		return err
	})
}

// Enrol exchanges a token for a key of the host's own. An agent that shows a client certificate of its own is not given
// the key: the certificate stands for it.
func (m *Module) Enrol(ctx context.Context, in agentapi.EnrolRequest, c *x509.Certificate) (out agentapi.EnrolResponse, err error) {
	if err := in.Host.Check(); err != nil {
		return out, kernel.InvalidField("host", "The description of the host cannot be: "+err.Error()+".")
	}
	e, err := m.useToken(ctx, in.Token, in.Host.Instance)
	if err != nil {
		return out, err
	}
	key, text, until, err := m.hostKey(ctx, e, in.Host.Name, c)
	if err != nil {
		return out, errors.Join(err, m.giveBack(ctx, e.id))
	}
	with := "got the key " + key.Prefix + "…"
	if text == "" {
		with += ", for which its certificate stands"
	}
	var h Host
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		if h, err = saveHost(ctx, tx, e.ws, hostFromAgent(in.Host, key.ID)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Event{WorkspaceID: e.ws, Actor: e.by, Action: "host.enrol", Target: "host:" + string(h.ID),
			Detail: h.Name + " " + with})
	})
	if err != nil {
		return out, errors.Join(err, m.d.Access.RevokeKey(ctx, e.by, e.ws, key.ID), m.giveBack(ctx, e.id))
	}
	m.changed(e.ws)
	return agentapi.EnrolResponse{Key: text, Until: until, Workspace: string(e.ws), WorkspaceName: e.name, Page: m.d.BaseURL() + hostHref(e.ws, h.ID)}, nil
}

// hostKey makes the key of a host. Where its certificate stands for it, nobody gets to know its text.
func (m *Module) hostKey(ctx context.Context, e enrolment, name string, c *x509.Certificate) (key access.Key, text string, until int64, err error) {
	var most int64
	if m.d.MaxHosts != nil {
		if most, err = m.d.MaxHosts(ctx, e.ws); err != nil {
			return key, "", 0, err
		}
	}
	if key, text, err = m.d.Access.CreateHostKey(ctx, e.by, e.ws, keyName(name), most); err != nil || c == nil || c.Subject.CommonName != agentapi.CertificateName {
		return key, text, 0, err
	}
	end, err := m.d.Access.AddCertificate(ctx, e.ws, key.ID, c)
	if err != nil {
		return key, "", 0, errors.Join(err, m.d.Access.RevokeKey(ctx, e.by, e.ws, key.ID))
	}
	return key, "", end.Unix(), nil
}

// renew lets another certificate stand for the key of the host that asks.
func (m *Module) renew(w http.ResponseWriter, r *http.Request) error {
	var in agentapi.RenewRequest
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	fresh, err := x509.ParseCertificate(in.Certificate)
	if err != nil {
		return kernel.InvalidField("certificate", "This is not a certificate in DER.")
	}
	until, err := m.d.Access.RenewCertificate(r.Context(), httpx.ActorOf(r.Context()), access.CertificateOf(r), fresh)
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, agentapi.RenewResponse{Until: until.Unix()})
}

// keyName is what the key of a host is called.
func keyName(host string) string {
	name := []rune("host " + host)
	return string(name[:min(len(name), 60)])
}

func (m *Module) enrol(w http.ResponseWriter, r *http.Request) error {
	var in agentapi.EnrolRequest
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	out, err := m.Enrol(r.Context(), in, access.CertificateOf(r))
	if err != nil {
		return err
	}
	return respond.JSON(w, http.StatusOK, out)
}

// hello takes what an agent tells about its host.
func (m *Module) hello(w http.ResponseWriter, r *http.Request) error {
	var in agentapi.Hello
	if err := httpx.ReadJSON(r, &in); err != nil {
		return err
	}
	if err := in.Host.Check(); err != nil {
		return kernel.InvalidField("host", "The description of the host cannot be: "+err.Error()+".")
	}
	actor, now := httpx.ActorOf(r.Context()), m.d.Clock()
	h := hostFromAgent(in.Host, actor.KeyID)
	h.Buffered = time.Duration(min(max(0, in.Buffered), 1e9)) * time.Second
	if in.Now > 0 {
		h.Skew = time.Duration(min(max(in.Now-now.UnixMilli(), -1e12), 1e12)) * time.Millisecond
	}
	err := m.d.DB.Tx(r.Context(), func(tx *db.Tx) error {
		_, err := saveHost(r.Context(), tx, actor.WorkspaceID, h)
		return err
	})
	if err != nil {
		return err
	}
	if err := m.d.Access.UsesCertificate(r.Context(), actor.KeyID, access.CertificateOf(r)); err != nil {
		return err
	}
	m.changed(actor.WorkspaceID)
	return respond.JSON(w, http.StatusOK, agentapi.HelloResponse{Now: now.UnixMilli(), Agent: m.d.Version})
}
