package federation_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cloud is an internet of a few hosts, without sockets.
type cloud struct {
	mu    sync.Mutex
	hosts map[string]http.Handler
	asked []string // method, host and path of each request
}

func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.asked = append(c.asked, r.Method+" "+r.URL.Host+r.URL.Path)
	h := c.hosts[r.URL.Host]
	c.mu.Unlock()
	if h == nil {
		return nil, fmt.Errorf("no such host: %s", r.URL.Host)
	}
	in := r.Clone(r.Context())
	in.RequestURI, in.Host = r.URL.RequestURI(), r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, in)
	res := w.Result()
	res.Request = r
	return res, nil
}

func (c *cloud) serve(host string, h http.Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hosts == nil {
		c.hosts = map[string]http.Handler{}
	}
	c.hosts[host] = h
}

func (c *cloud) wasAsked(what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.asked, what)
}

// signingKey is shared: making one takes long.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var b64 = base64.RawURLEncoding.EncodeToString

func jwt(header, claims map[string]any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	text := b64(h) + "." + b64(c)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, signingKey(), crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}

func jwks() map[string]any {
	e := binary.BigEndian.AppendUint32(nil, uint32(signingKey().E))[1:]
	return map[string]any{"keys": []any{map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": b64(signingKey().N.Bytes()), "e": b64(e)}}}
}

// asked is an authorization that a browser brought, for which a code was given.
type asked struct {
	url.Values
	used bool
}

// peer is an OpenID Connect provider as far as its clients see it.
type peer struct {
	t         *testing.T
	now       func() time.Time
	issuer    string         // of the ID tokens
	discovery map[string]any // its document, as the real one has it
	id        string
	secret    string
	basic     bool // how the client must show its secret

	// What the next person is, and what is wrong with the provider.
	claims   map[string]any
	userinfo map[string]any
	header   map[string]any
	change   func(claims map[string]any) // of the ID token, at last
	sign     func(claims map[string]any) string

	mu      sync.Mutex
	codes   map[string]*asked
	revoked []string
}

const accessToken = "ya29.access-token-canary"

// authorize is what a browser does at the provider: the person agrees, and is sent back. It returns path and query of
// where to.
func (p *peer) authorize(location string) string {
	p.t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		p.t.Fatal(err)
	}
	if at := u.Scheme + "://" + u.Host + u.Path; at != p.discovery["authorization_endpoint"] {
		p.t.Fatalf("the browser is sent to %s", at)
	}
	q := u.Query()
	if q.Get("client_id") != p.id || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 43 {
		p.t.Fatalf("the browser asks for %v", q)
	}
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || back.Scheme != "https" || back.Host != "kept.example" {
		p.t.Fatalf("the browser is to be sent back to %q", q.Get("redirect_uri"))
	}
	code := rand.Text()
	p.mu.Lock()
	if p.codes == nil {
		p.codes = map[string]*asked{}
	}
	p.codes[code] = &asked{Values: q}
	p.mu.Unlock()
	out := url.Values{"code": {code}, "state": {q.Get("state")}}
	if p.discovery["authorization_response_iss_parameter_supported"] == true {
		out.Set("iss", p.issuer)
	}
	return back.Path + "?" + out.Encode()
}

func (p *peer) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *peer) serveDiscovery(w http.ResponseWriter, _ *http.Request) { p.answer(w, 200, p.discovery) }
func (p *peer) serveKeys(w http.ResponseWriter, _ *http.Request)      { p.answer(w, 200, jwks()) }

func (p *peer) client(r *http.Request) bool {
	if id, secret, ok := r.BasicAuth(); ok {
		return p.basic && id == p.id && secret == p.secret
	}
	return !p.basic && r.PostFormValue("client_id") == p.id && r.PostFormValue("client_secret") == p.secret
}

func (p *peer) serveToken(w http.ResponseWriter, r *http.Request) {
	if !p.client(r) {
		p.answer(w, 401, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if r.PostFormValue("grant_type") != "authorization_code" || a == nil || a.used || a.Get("redirect_uri") != r.PostFormValue("redirect_uri") || a.Get("code_challenge") != b64(sum[:]) {
		p.answer(w, 400, map[string]any{"error": "invalid_grant", "error_description": "Bad Request"})
		return
	}
	a.used = true
	claims := map[string]any{"iss": p.issuer, "aud": p.id, "azp": p.id, "nonce": a.Get("nonce"), "iat": p.now().Unix(), "exp": p.now().Add(time.Hour).Unix()}
	maps.Copy(claims, p.claims)
	if p.change != nil {
		p.change(claims)
	}
	header := map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"}
	maps.Copy(header, p.header)
	sign := p.sign
	if sign == nil {
		sign = func(claims map[string]any) string { return jwt(header, claims) }
	}
	p.answer(w, 200, map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 3599, "scope": a.Get("scope"), "id_token": sign(claims)})
}

func (p *peer) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+accessToken || p.userinfo == nil {
		p.answer(w, 401, map[string]any{"error": "invalid_token"})
		return
	}
	p.answer(w, 200, p.userinfo)
}

func (p *peer) serveRevoke(w http.ResponseWriter, r *http.Request) {
	if !p.client(r) {
		p.answer(w, 401, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked = append(p.revoked, r.PostFormValue("token"))
}

// google is Google as of its discovery document: the endpoints lie on four hosts.
func (w *world) google() *peer {
	p := &peer{t: w.t, now: w.Clock.Now, issuer: "https://accounts.google.com", id: "123-abc.apps.googleusercontent.com", secret: "GOCSPX-secret", basic: true,
		discovery: map[string]any{
			"issuer": "https://accounts.google.com", "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
			"token_endpoint": "https://oauth2.googleapis.com/token", "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
			"revocation_endpoint": "https://oauth2.googleapis.com/revoke", "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
			"code_challenge_methods_supported": []string{"plain", "S256"},
		},
		claims: map[string]any{"sub": "110169484474386276334", "email": "ann@example.org", "email_verified": true, "name": "Ann Other",
			"given_name": "Ann", "family_name": "Other", "picture": "https://lh3.googleusercontent.com/a/x"},
	}
	w.route("accounts.google.com", "GET /.well-known/openid-configuration", p.serveDiscovery)
	w.route("oauth2.googleapis.com", "POST /token", p.serveToken)
	w.route("oauth2.googleapis.com", "POST /revoke", p.serveRevoke)
	w.route("www.googleapis.com", "GET /oauth2/v3/certs", p.serveKeys)
	w.route("openidconnect.googleapis.com", "GET /v1/userinfo", p.serveUserinfo)
	return p
}

// gitLab is GitLab as of its discovery document. Its ID token has the address only since 13; older ones tell userinfo.
func (w *world) gitLab(host string) *peer {
	at := "https://" + host
	p := &peer{t: w.t, now: w.Clock.Now, issuer: at, id: "gitlab-app", secret: "gloas-secret", basic: true,
		discovery: map[string]any{
			"issuer": at, "authorization_endpoint": at + "/oauth/authorize", "token_endpoint": at + "/oauth/token",
			"revocation_endpoint": at + "/oauth/revoke", "introspection_endpoint": at + "/oauth/introspect", "userinfo_endpoint": at + "/oauth/userinfo",
			"jwks_uri": at + "/oauth/discovery/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
			"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"}, "code_challenge_methods_supported": []string{"plain", "S256"},
		},
		claims:   map[string]any{"sub": "4711", "auth_time": 1, "sub_legacy": "deadbeef"},
		userinfo: map[string]any{"sub": "4711", "name": "Ann Other", "nickname": "ann", "email": "ann@example.org", "email_verified": true, "profile": at + "/ann", "groups": []string{"team"}},
	}
	w.route(host, "GET /.well-known/openid-configuration", p.serveDiscovery)
	w.route(host, "POST /oauth/token", p.serveToken)
	w.route(host, "POST /oauth/revoke", p.serveRevoke)
	w.route(host, "GET /oauth/discovery/keys", p.serveKeys)
	w.route(host, "GET /oauth/userinfo", p.serveUserinfo)
	return p
}

const tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"

// microsoft is the shared endpoint of Microsoft's identity platform, v2.0: its document has a template for an issuer.
func (w *world) microsoft() *peer {
	const at = "https://login.microsoftonline.com"
	p := &peer{t: w.t, now: w.Clock.Now, issuer: at + "/" + tenant + "/v2.0", id: "6731de76-14a6-49ae-97bc-6eba6914391e", secret: "ms~secret",
		discovery: map[string]any{
			"issuer": at + "/{tenantid}/v2.0", "authorization_endpoint": at + "/common/oauth2/v2.0/authorize", "token_endpoint": at + "/common/oauth2/v2.0/token",
			"jwks_uri": at + "/common/discovery/v2.0/keys", "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
			"tenant_region_scope": nil, "cloud_instance_name": "microsoftonline.com",
		},
		claims: map[string]any{"sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tid": tenant, "oid": "00000000-0000-0000-66f3-3332eca7ea81", "ver": "2.0",
			"name": "Ann Other", "preferred_username": "ann@example.org", "email": "ann@example.org"},
	}
	w.route("login.microsoftonline.com", "GET /common/v2.0/.well-known/openid-configuration", p.serveDiscovery)
	w.route("login.microsoftonline.com", "POST /common/oauth2/v2.0/token", p.serveToken)
	w.route("login.microsoftonline.com", "GET /common/discovery/v2.0/keys", p.serveKeys)
	return p
}

// gitHub is GitHub: OAuth 2, answers as forms, and who somebody is in its API.
type gitHub struct {
	*peer
	user    string // the answer of /user
	emails  string // and of /user/emails; empty: the token is not for that
	deleted []string
}

func (w *world) gitHub() *gitHub {
	p := &gitHub{peer: &peer{t: w.t, now: w.Clock.Now, id: "Iv1.0123456789abcdef", secret: "github-secret",
		discovery: map[string]any{"authorization_endpoint": "https://github.com/login/oauth/authorize"}},
		user:   `{"login":"octocat","id":583231,"node_id":"MDQ6VXNlcjU4MzIzMQ==","type":"User","name":"Ann Other","email":"shown@example.net"}`,
		emails: `[{"email":"old@example.org","primary":false,"verified":true,"visibility":null},{"email":"ann@example.org","primary":true,"verified":true,"visibility":"private"}]`,
	}
	w.route("github.com", "POST /login/oauth/access_token", p.serveToken)
	w.route("api.github.com", "GET /user", func(w http.ResponseWriter, r *http.Request) { p.api(w, r, p.user) })
	w.route("api.github.com", "GET /user/emails", func(w http.ResponseWriter, r *http.Request) { p.api(w, r, p.emails) })
	w.route("api.github.com", "DELETE /applications/{id}/token", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Token string `json:"access_token"`
		}
		id, secret, _ := r.BasicAuth()
		if json.NewDecoder(r.Body).Decode(&in) != nil || id != p.id || secret != p.secret || r.PathValue("id") != p.id {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		p.deleted = append(p.deleted, in.Token)
		w.WriteHeader(http.StatusNoContent)
	})
	return p
}

// serveToken answers as a form, and errors with 200, as GitHub does.
func (p *gitHub) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !p.client(r) || a == nil || a.used || a.Get("code_challenge") != b64(sum[:]) {
		fmt.Fprint(w, "error=bad_verification_code&error_description=The+code+passed+is+incorrect+or+expired.&error_uri=https%3A%2F%2Fdocs.github.com")
		return
	}
	a.used = true
	fmt.Fprint(w, "access_token="+accessToken+"&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer")
}

func (p *gitHub) api(w http.ResponseWriter, r *http.Request, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+accessToken:
		w.WriteHeader(http.StatusUnauthorized)
	case body == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		fmt.Fprint(w, body)
	}
}

// route serves a pattern on a host.
func (w *world) route(host, pattern string, h http.HandlerFunc) {
	mux, _ := w.cloud.hosts[host].(*http.ServeMux)
	if mux == nil {
		mux = http.NewServeMux()
		w.cloud.serve(host, mux)
	}
	mux.HandleFunc(pattern, h)
}

// unsigned is an ID token with the algorithm "none".
func unsigned(claims map[string]any) string {
	c, _ := json.Marshal(claims)
	return b64([]byte(`{"alg":"none"}`)) + "." + b64(c) + "."
}

// without cuts a word out of a text.
func without(s, word string) string { return strings.ReplaceAll(s, word, "") }
