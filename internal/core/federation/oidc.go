package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/kept-dev/kept/internal/kernel"
)

// metadataLife is how long a discovery document is believed.
const metadataLife = time.Hour

// oidcSource is a provider that speaks OpenID Connect and says so in a discovery document.
type oidcSource struct {
	p        Provider
	preset   preset
	client   *http.Client
	redirect string
	now      kernel.Clock

	asking singleflight.Group
	mu     sync.Mutex
	known  *metadata
	until  time.Time
}

// metadata is what the provider says of itself.
type metadata struct {
	provider *oidc.Provider
	endpoint oauth2.Endpoint

	Issuer      string   `json:"issuer"`
	NamesItself bool     `json:"authorization_response_iss_parameter_supported"`
	Methods     []string `json:"token_endpoint_auth_methods_supported"`
	Revocation  string   `json:"revocation_endpoint"`
	UserInfo    string   `json:"userinfo_endpoint"`
	JWKS        string   `json:"jwks_uri"`
}

// metadata is the discovery document, read when it is needed first and now and then again.
func (s *oidcSource) metadata(ctx context.Context) (*metadata, error) {
	s.mu.Lock()
	known, fresh := s.known, s.now().Before(s.until)
	s.mu.Unlock()
	if known != nil && fresh {
		return known, nil
	}
	// However many people wait, the provider is asked once; one of them leaving does not stop it for the others.
	found := s.asking.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), remoteTimeout)
		defer cancel()
		return s.discover(ctx)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-found:
		if r.Err != nil {
			return nil, errDown(s.p.Label, r.Err)
		}
		return r.Val.(*metadata), nil
	}
}

func (s *oidcSource) discover(ctx context.Context) (*metadata, error) {
	ctx = oidc.ClientContext(ctx, s.client)
	if s.manyTenants() {
		ctx = oidc.InsecureIssuerURLContext(ctx, s.p.Issuer) // each token's issuer is compared with its tenant: see issuerOf
	}
	provider, err := oidc.NewProvider(ctx, s.p.Issuer)
	if err != nil {
		return nil, err
	}
	m := &metadata{provider: provider, endpoint: provider.Endpoint()}
	if err := provider.Claims(m); err != nil {
		return nil, err
	}
	if s.manyTenants() && m.Issuer != microsoftTemplate {
		return nil, fmt.Errorf("the discovery document has the issuer %q", m.Issuer)
	}
	for _, address := range []string{m.endpoint.AuthURL, m.endpoint.TokenURL, m.JWKS} {
		if err := checkEndpoint(address); err != nil {
			return nil, fmt.Errorf("the discovery document: %w", err)
		}
	}
	m.endpoint.AuthStyle = oauth2.AuthStyleInHeader // the default of the protocol
	if s.p.ClientSecret == "" || len(m.Methods) > 0 && !slices.Contains(m.Methods, "client_secret_basic") {
		m.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.until = m, s.now().Add(metadataLife)
	return m, nil
}

func (s *oidcSource) oauth(m *metadata) *oauth2.Config {
	return &oauth2.Config{ClientID: s.p.ClientID, ClientSecret: s.p.ClientSecret, Endpoint: m.endpoint, RedirectURL: s.redirect, Scopes: s.p.Scopes}
}

func (s *oidcSource) start(ctx context.Context, a attempt) (string, error) {
	m, err := s.metadata(ctx)
	if err != nil {
		return "", err
	}
	return s.oauth(m).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

func (s *oidcSource) who(ctx context.Context, a attempt, in answer) (Person, grant, error) {
	m, err := s.metadata(ctx)
	if err != nil {
		return Person{}, grant{}, err
	}
	if err := s.checkAnswer(m, in); err != nil {
		return Person{}, grant{}, errUnproved(s.p.Label, err)
	}
	ctx = oidc.ClientContext(ctx, s.client)
	token, err := s.oauth(m).Exchange(ctx, in.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Person{}, grant{}, exchangeError(s.p.Label, err)
	}
	issuer, c, err := s.verify(ctx, m, a, token)
	if err != nil {
		return Person{}, grant{}, errUnproved(s.p.Label, err)
	}
	if c.Email == "" && s.preset.userinfo && m.UserInfo != "" {
		if c, err = s.askMore(ctx, m, token, c); err != nil {
			return Person{}, grant{}, err
		}
	}
	p, err := s.preset.person(issuer, c)
	if err != nil {
		return Person{}, grant{}, errUnproved(s.p.Label, err)
	}
	return p, granted(token, s.now), nil
}

// checkAnswer holds against the mix-up of two providers: a code of one must never be sent to the other.
func (s *oidcSource) checkAnswer(m *metadata, in answer) error {
	switch {
	case s.manyTenants(): // Microsoft does not name itself
		return nil
	case in.Issuer == "" && !m.NamesItself, in.Issuer == m.Issuer:
		return nil
	}
	return fmt.Errorf("the answer is of the issuer %q", in.Issuer)
}

// verify checks the ID token: signature, audience, age, nonce, and that it came with this access token.
func (s *oidcSource) verify(ctx context.Context, m *metadata, a attempt, token *oauth2.Token) (issuer string, c claims, err error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" || len(raw) > maxIDToken {
		return "", c, errors.New("there is no ID token, or it is too large")
	}
	id, err := m.provider.VerifierContext(ctx, &oidc.Config{ClientID: s.p.ClientID, Now: s.now, SkipIssuerCheck: s.manyTenants()}).Verify(ctx, raw)
	if err != nil {
		return "", c, err
	}
	if !same(id.Nonce, a.Nonce) {
		return "", c, errors.New("the ID token has another nonce")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return "", c, err
		}
	}
	var body json.RawMessage
	if err := id.Claims(&body); err != nil {
		return "", c, err
	}
	if c, err = parseClaims(body); err != nil {
		return "", c, err
	}
	if c.Party != "" && c.Party != s.p.ClientID || c.Party == "" && len(id.Audience) > 1 {
		return "", c, errors.New("the ID token was made for somebody else")
	}
	issuer, err = s.issuerOf(id.Issuer, c)
	return issuer, c, err
}

// askMore fills in what an ID token lacks, as some providers put little into it.
func (s *oidcSource) askMore(ctx context.Context, m *metadata, token *oauth2.Token, c claims) (claims, error) {
	info, err := m.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return c, errDown(s.p.Label, err)
	}
	var body json.RawMessage
	if err := info.Claims(&body); err != nil {
		return c, errUnproved(s.p.Label, err)
	}
	more, err := parseClaims(body)
	if err != nil {
		return c, errUnproved(s.p.Label, err)
	}
	if more.Subject != c.Subject {
		return c, errUnproved(s.p.Label, errors.New("userinfo is about somebody else"))
	}
	c.Email, c.EmailVerified = more.Email, more.EmailVerified
	if c.Name == "" {
		c.Name = more.Name
	}
	return c, nil
}

// revoke is RFC 7009.
func (s *oidcSource) revoke(ctx context.Context, g grant) error {
	m, err := s.metadata(ctx)
	if err != nil || m.Revocation == "" {
		return err
	}
	form := url.Values{"token": {g.Access}, "token_type_hint": {"access_token"}}
	if m.endpoint.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", s.p.ClientID)
		if s.p.ClientSecret != "" {
			form.Set("client_secret", s.p.ClientSecret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if m.endpoint.AuthStyle == oauth2.AuthStyleInHeader {
		r.SetBasicAuth(url.QueryEscape(s.p.ClientID), url.QueryEscape(s.p.ClientSecret))
	}
	return expectOK(s.client, r)
}

// Microsoft's shared endpoints sign people of every tenant in, each under an issuer of its own.
const (
	microsoftTemplate = "https://login.microsoftonline.com/{tenantid}/v2.0"
	microsoftHost     = "https://login.microsoftonline.com/"
)

var tenantShape = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func (s *oidcSource) manyTenants() bool {
	if s.p.Preset != Microsoft {
		return false
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(s.p.Issuer, microsoftHost), "/")
	return tenant == "common" || tenant == "organizations" // "consumers" says its one tenant itself
}

// issuerOf is who vouches for a token. At Microsoft the issuer must be the tenant's that the token names; at Google an old
// spelling of the issuer is one with the new.
func (s *oidcSource) issuerOf(issuer string, c claims) (string, error) {
	if s.p.Preset == Google {
		return googleIssuer, nil
	}
	if s.manyTenants() && (!tenantShape.MatchString(c.Tenant) || issuer != microsoftHost+c.Tenant+"/v2.0") {
		return "", fmt.Errorf("the ID token of tenant %q has the issuer %q", c.Tenant, issuer)
	}
	return issuer, nil
}

// expectOK sends a request whose answer does not matter further.
func expectOK(client *http.Client, r *http.Request) error {
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("the provider answered %s", res.Status)
	}
	return nil
}
