package app_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/access"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/workspace"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/testkit"
)

// belongings are things of a person and of his workspace, by the routes that take their ids.
type belongings map[string]string

// routeOf finds the thing whose route a path belongs to.
func (b belongings) of(path string) (id string, ok bool) {
	for prefix, id := range b {
		if strings.HasPrefix(path, prefix) {
			return id, true
		}
	}
	return "", false
}

// belong gives a person one of everything.
func belong(t *testing.T, a *testkit.App, p *testkit.Person) belongings {
	t.Helper()
	ctx, ws, now := t.Context(), p.WorkspaceID, kernel.Micros(a.Clock.Now())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, _, err := a.Access().CreateKey(ctx, audit.System, ws, access.NewKey{Name: "theirs", Scopes: []string{access.ScopeRead}})
	must(err)
	token, _, err := a.Access().CreateToken(ctx, httpx.Actor{AccountID: p.AccountID, Email: p.Email},
		access.NewToken{Name: "theirs", WorkspaceID: ws, Scopes: []string{access.ScopeRead}, Lives: time.Hour})
	must(err)
	invitation, err := a.Workspaces().Invite(ctx, audit.System, ws, workspace.Invitation{Email: "guest-" + p.Email, Role: workspace.RoleMember})
	must(err)
	var login string
	must(a.Control().QueryRow(ctx, `SELECT max(id) FROM logins WHERE account_id = $1`, p.AccountID).Scan(&login))
	made := func() string { return string(kernel.NewID(a.Clock.Now())) }
	passkey, provider := made(), made()
	exec(t, a, `INSERT INTO passkeys (id, account_id, credential_id, public_key, name, aaguid, transports, flags, sign_count, created_at, last_used_at)
		VALUES ($1, $2, $3, $3, 'theirs', $3, '', 0, 0, $4, 0)`, passkey, p.AccountID, []byte(passkey), now)
	exec(t, a, `INSERT INTO linked_providers (id, account_id, provider, issuer, subject, email, sealed_at, sealed_until, created_at, last_used_at)
		VALUES ($1, $2, 'work', 'https://id.example', $1, '', 0, 0, $3, $3)`, provider, p.AccountID, now)
	channel, delivery := made(), made()
	exec(t, a, `INSERT INTO notify_channels (id, workspace_id, name, name_key, kind, resolved, sealed, failures, disabled_at, disabled_why, not_before, created_at, updated_at)
		VALUES ($1, $2, 'theirs', 'theirs', 'webhook', 1, $3, 0, 0, '', 0, $4, $4)`, channel, ws, []byte("sealed"), now)
	exec(t, a, `INSERT INTO notify_deliveries (id, workspace_id, channel_id, notice, reason, state, firing, resolved, attempts, created_at, updated_at, sealed)
		VALUES ($1, $2, $3, $5, 'alert', 'sent', 1, 0, 1, $4, $4, $5)`, delivery, ws, channel, now, []byte("sealed"))
	scim := keyWith(t, a, ws, access.ScopeSCIM)
	group := provisioned(t, p, scim, "Groups", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": "theirs"})
	user := provisioned(t, p, scim, "Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"},
		"userName": "user-" + p.Email, "emails": []map[string]any{{"value": "user-" + p.Email, "primary": true}}, "active": true})
	p.JSON("POST", "/api/v1/events", p.APIKey, map[string]any{"events": []map[string]any{{"jobId": "secret-job", "jobName": "n", "queue": "theirs",
		"event": "completed", "timestamp": a.Clock.Now().UnixMilli()}}}).Want(200)
	var dashboard struct {
		ID string `json:"id"`
	}
	res := p.JSON("POST", "/api/v1/dashboards", keyWith(t, a, ws, access.ScopeWrite), map[string]any{"version": 1, "title": "theirs", "rows": []any{}}).Want(201)
	if err := json.Unmarshal([]byte(res.Body), &dashboard); err != nil || dashboard.ID == "" {
		t.Fatal("no dashboard", err)
	}
	host, drop := made(), made()
	exec(t, a, `INSERT INTO hosts (workspace_id, id, instance, source, machine, name, os, platform, kernel, arch, cores, memory, booted_at, agent, every, labels, skew, buffered, key_id, first_seen_at, last_seen_at)
		VALUES ($1, $2, 'theirs', 'agent', '', 'theirs', '', '', '', '', 1, 1, 0, '', 15, '{}', 0, 0, '', $3, $3)`, ws, host, now)
	exec(t, a, `INSERT INTO metric_drops (workspace_id, id, selector, note, created_by, created_at) VALUES ($1, $2, 'theirs', '', $3, $4)`, ws, drop, p.AccountID, now)
	rule, fired, silence, window, route := made(), made(), made(), made(), made()
	exec(t, a, `INSERT INTO alert_rules (id, workspace_id, group_name, position, name, body, pack, enabled, version, created_at, updated_at, updated_by, deleted_at)
		VALUES ($1, $2, 'theirs', 0, 'theirs', '{"kind":"expression","name":"theirs","expr":"up"}', '', 0, 1, $3, $3, NULL, 0)`, rule, ws, now)
	exec(t, a, `INSERT INTO alerts (id, workspace_id, fingerprint, rule_id, name, severity, state, labels, value, started_at, fired_at, resolved_at, acked_at, acked_by)
		VALUES ($1, $2, 'theirs', $3, 'theirs', '', 'resolved', '{}', '1', $4, $4, $4, 0, NULL)`, fired, ws, rule, now)
	exec(t, a, `INSERT INTO alert_silences (id, workspace_id, matchers, starts_at, ends_at, created_at, created_by) VALUES ($1, $2, '[]', $3, $4, $3, NULL)`,
		silence, ws, now, kernel.Micros(a.Clock.Now().Add(time.Hour)))
	exec(t, a, `INSERT INTO alert_windows (id, workspace_id, matchers, body, ends_at, created_at, created_by) VALUES ($1, $2, '[]', '{}', $3, $3, NULL)`, window, ws, now)
	exec(t, a, `INSERT INTO alert_workspaces (workspace_id, rev, rules, routing, updated_at, holder, lease_until) VALUES ($1, 1, 0, $2, $3, '', 0)`, ws,
		`{"default":{"id":"default","name":"x"},"routes":[{"id":"`+route+`","name":"theirs"}]}`, now)
	agreement := made()
	exec(t, a, `INSERT INTO agreements (id, workspace_id, version, document, signer_name, signer_title, account_id, signed_at) VALUES ($1, $2, 'theirs', '{}', 'theirs', '', $3, $4)`,
		agreement, ws, p.AccountID, now)
	notice, component := made(), made()
	exec(t, a, `INSERT INTO status_notices (id, workspace_id, kind, title, impact, state, components, starts_at, ends_at, over_at, created_at, deleted_at)
		VALUES ($1, $2, 'incident', 'theirs', 'minor', 'investigating', '', $3, 0, 0, $3, 0)`, notice, ws, now)
	exec(t, a, `INSERT INTO status_components (id, workspace_id, name, created_at) VALUES ($1, $2, 'theirs', $3)`, component, ws, now)
	webhook := made()
	exec(t, a, `INSERT INTO status_subscribers (id, workspace_id, kind, tag, host_tag, sealed, created_at, confirmed_at, failures, failing_at, disabled_at)
		VALUES ($1, $2, 'webhook', $4, $4, $4, $3, $3, 0, 0, 0)`, webhook, ws, now, []byte("theirs"))
	const settings, alerts = "/w/{ws}/settings", "/w/{ws}/alerts"
	return belongings{
		"/w/{ws}/settings/agreement/":        agreement,
		"/w/{ws}/status-page/incidents/{id}": notice, "/w/{ws}/status-page/components/{id}": component,
		"/w/{ws}/status-page/webhooks/{id}": webhook,
		alerts + "/rules/{id}":              rule, alerts + "/a/{id}": fired, alerts + "/silences/{id}": silence, alerts + "/maintenance/{id}": window, alerts + "/routing/{id}": route,
		"/api/v1/alerts/{id}": fired, "/api/v1/silences/{id}": silence,
		"/w/{ws}/hosts/{id}": host, "/w/{ws}/usage/drops/{id}": drop,
		"/w/{ws}/dashboards/{id}": dashboard.ID, "/api/v1/dashboards/{id}": dashboard.ID,
		settings + "/api-keys/{id}": string(key.ID), settings + "/api-keys/tokens/{id}": string(token.ID), "/account/tokens/{id}": string(token.ID),
		settings + "/invitations/{id}": string(invitation.ID), settings + "/members/{account}": string(p.AccountID),
		"/account/logins/{id}": login, "/account/passkeys/{id}": passkey, "/account/providers/{id}": provider,
		settings + "/provisioning/groups/{id}": group, "/scim/v2/Groups/{id}": group, "/scim/v2/Users/{id}": user,
		"/w/{ws}/channels/{id}": channel, "/w/{ws}/deliveries/{id}": delivery,
		"/w/{ws}/jobs/{queue}/{id...}": "secret-job", "/api/v1/jobs/{queue}/{id...}": "secret-job",
	}
}

// provisioned makes something as a directory does.
func provisioned(t *testing.T, p *testkit.Person, key, kind string, body map[string]any) string {
	t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(p.JSON("POST", "/scim/v2/"+kind, key, body).Want(201).Body), &made); err != nil || made.ID == "" {
		t.Fatal("no id", err)
	}
	return made.ID
}

// notThings are wildcards that name no thing of anybody's.
var notThings = []string{"/agent/", "/assets/", "/status/", "/notices/", "/mailbox/", "/mail/", "/sign-in/with/{provider}", "/account/providers/{provider}", "/account/transfers/{ws}",
	"/scim/v2/ResourceTypes/", "/scim/v2/Schemas/", "/w/{ws}/explore/", "/prometheus/api/v1/label/"}

// TestIDsOfOthersAreNotFound asks every route that takes an id for a thing of another person's and another workspace's, with
// all rights in one's own. The answer is that of something that does not exist, and nothing of the other's changes.
func TestIDsOfOthersAreNotFound(t *testing.T) {
	t.Parallel()
	testkit.Each(t, func(t *testing.T, engine testkit.Option) {
		a := testkit.Start(t, engine, testkit.With(app.WithMailbox()))
		attacker, victim := a.SignedUp(t), a.SignedUp(t)
		theirs := belong(t, a, victim)
		scim := keyWith(t, a, attacker.WorkspaceID, access.ScopeSCIM)
		before := stateOf(t, a, victim)
		tried := 0
		for _, r := range a.Mux().Table() {
			rest := strings.ReplaceAll(r.Path, "{ws}", "")
			if !strings.Contains(rest, "{") && !strings.HasSuffix(r.Path, "/transfers/{ws}") || r.Path == "/{$}" {
				continue
			}
			id, ok := theirs.of(r.Path)
			if !ok {
				if !startsWithAny(r.Path, notThings) {
					t.Errorf("%s %s takes an id that this test does not know: add it to belong", r.Method, r.Path)
				}
				continue
			}
			path := strings.ReplaceAll(r.Path, "{ws}", string(attacker.WorkspaceID))
			path = strings.NewReplacer("{queue}", "theirs", "{id...}", id, "{id}", id, "{account}", id).Replace(path)
			tried++
			if res := knock(attacker, r, path, scim); res.Status != 404 {
				t.Errorf("%s %s with somebody else's id: %d, want 404\n%.300s", r.Method, r.Path, res.Status, res.Body)
			}
		}
		if tried < 20 {
			t.Errorf("only %d routes were tried", tried)
		}
		if after := stateOf(t, a, victim); after != before {
			t.Errorf("something of the other's changed:\n%s\n%s", before, after)
		}
	})
}

// knock asks with whatever the route wants to see.
func knock(attacker *testkit.Person, r httpx.Route, path, scim string) *testkit.Response {
	switch {
	case strings.HasPrefix(path, "/scim/"):
		body := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "userName": "x@example.com", "displayName": "x",
			"Operations": []map[string]any{{"op": "replace", "path": "active", "value": false}}}
		if r.Method == "GET" || r.Method == "DELETE" {
			return attacker.JSON(r.Method, path, scim, nil)
		}
		return attacker.JSON(r.Method, path, scim, body)
	case r.Access == httpx.APIKey:
		return attacker.JSON(r.Method, path, attacker.APIKey, nil)
	case r.Method == "GET":
		return attacker.Get(path)
	}
	return attacker.PostForm(path, url.Values{"name": {"taken over"}, "role": {"viewer"}, "overlap": {"0"}})
}

func startsWithAny(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// stateOf sums up what there is of a person and his workspace.
func stateOf(t *testing.T, a *testkit.App, p *testkit.Person) (out string) {
	t.Helper()
	for _, question := range []string{
		`SELECT count(*) FROM api_keys WHERE workspace_id = $1 AND revoked_at = 0 AND $2 <> ''`,
		`SELECT count(*) FROM invitations WHERE workspace_id = $1 AND $2 <> ''`,
		`SELECT count(*) FROM memberships WHERE workspace_id = $1 AND account_id = $2 AND role = 'owner'`,
		`SELECT count(*) FROM scim_groups WHERE workspace_id = $1 AND display_name = 'theirs' AND $2 <> ''`,
		`SELECT count(*) FROM scim_users WHERE workspace_id = $1 AND active = 1 AND $2 <> ''`,
		`SELECT count(*) FROM personal_tokens WHERE workspace_id = $1 AND account_id = $2 AND revoked_at = 0`,
		`SELECT count(*) FROM dashboards WHERE workspace_id = $1 AND version = 1 AND deleted_at = 0 AND $2 <> ''`,
		`SELECT count(*) FROM alert_rules WHERE workspace_id = $1 AND version = 1 AND enabled = 0 AND deleted_at = 0 AND $2 <> ''`,
		`SELECT count(*) FROM alerts WHERE workspace_id = $1 AND acked_at = 0 AND $2 <> ''`,
		`SELECT count(*) FROM alert_silences WHERE workspace_id = $1 AND ends_at > created_at AND $2 <> ''`,
		`SELECT count(*) FROM alert_windows WHERE workspace_id = $1 AND body = '{}' AND $2 <> ''`,
		`SELECT count(*) FROM alert_workspaces WHERE workspace_id = $1 AND rev = 1 AND $2 <> ''`,
		`SELECT count(*) FROM status_subscribers WHERE workspace_id = $1 AND disabled_at = 0 AND $2 <> ''`,
		`SELECT count(*) FROM logins WHERE $1 <> '' AND account_id = $2`,
		`SELECT count(*) FROM passkeys WHERE $1 <> '' AND account_id = $2 AND name = 'theirs'`,
		`SELECT count(*) FROM linked_providers WHERE $1 <> '' AND account_id = $2`,
	} {
		var n int
		if err := a.Control().QueryRow(t.Context(), question, p.WorkspaceID, p.AccountID).Scan(&n); err != nil {
			t.Fatal(err)
		}
		out += string(rune('0'+n)) + " "
		if n == 0 {
			t.Errorf("nothing for %s", question)
		}
	}
	return out
}
