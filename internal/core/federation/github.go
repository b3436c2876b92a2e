package federation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/oauth2"

	"github.com/kept-dev/kept/internal/core/identity"
	"github.com/kept-dev/kept/internal/kernel"
)

const gitHubAPI = "https://api.github.com"

// gitHubSource speaks OAuth 2 without OpenID Connect: who somebody is has to be asked for.
type gitHubSource struct {
	p      Provider
	client *http.Client
	api    string
	now    kernel.Clock
	oauth  *oauth2.Config
}

func newGitHub(p Provider, client *http.Client, redirect string, now kernel.Clock) *gitHubSource {
	api := gitHubAPI
	if p.Issuer != gitHubIssuer {
		api = p.Issuer + "/api/v3" // a GitHub Enterprise Server
	}
	return &gitHubSource{p: p, client: client, api: api, now: now, oauth: &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: redirect, Scopes: p.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: p.Issuer + "/login/oauth/authorize", TokenURL: p.Issuer + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams},
	}}
}

func (s *gitHubSource) start(_ context.Context, a attempt) (string, error) {
	return s.oauth.AuthCodeURL(a.State, oauth2.S256ChallengeOption(a.Verifier)), nil
}

func (s *gitHubSource) who(ctx context.Context, a attempt, in answer) (Person, grant, error) {
	if in.Issuer != "" && in.Issuer != s.p.Issuer+"/login/oauth" && in.Issuer != s.p.Issuer {
		return Person{}, grant{}, errUnproved(s.p.Label, fmt.Errorf("the answer is of the issuer %q", in.Issuer))
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, s.client)
	token, err := s.oauth.Exchange(ctx, in.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Person{}, grant{}, exchangeError(s.p.Label, err)
	}
	var user struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	if _, err := s.get(ctx, token, "/user", &user); err != nil {
		return Person{}, grant{}, err
	}
	if user.ID <= 0 {
		return Person{}, grant{}, errUnproved(s.p.Label, errors.New("the user has no id"))
	}
	p := Person{Issuer: s.p.Issuer, Subject: strconv.FormatInt(user.ID, 10), Name: oneLine(user.Name)}
	if p.Email, p.Verified, err = s.email(ctx, token); err != nil {
		return Person{}, grant{}, err
	}
	return p, granted(token, s.now), nil
}

// email is the primary address. What the profile shows is not asked: people write there what they like.
func (s *gitHubSource) email(ctx context.Context, token *oauth2.Token) (email string, verified bool, err error) {
	var list []struct {
		Email             string
		Primary, Verified bool
	}
	// A person who did not let us see the addresses has none here.
	if allowed, err := s.get(ctx, token, "/user/emails?per_page=100", &list); err != nil || !allowed {
		return "", false, err
	}
	for _, e := range list {
		if !e.Primary {
			continue
		}
		if addr, err := identity.ParseAddress(e.Email); err == nil {
			return addr.Typed, e.Verified, nil
		}
	}
	return "", false, nil
}

// get asks the API. allowed is false when the token is not for that.
func (s *gitHubSource) get(ctx context.Context, token *oauth2.Token, path string, v any) (allowed bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api+path, nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	token.SetAuthHeader(r)
	res, err := s.client.Do(r)
	if err != nil {
		return false, errDown(s.p.Label, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return false, errDown(s.p.Label, err)
	case res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusNotFound:
		return false, nil
	case res.StatusCode != http.StatusOK:
		return false, errDown(s.p.Label, fmt.Errorf("%s: %s", r.URL.Path, res.Status))
	}
	if err := json.Unmarshal(body, v); err != nil {
		return false, errUnproved(s.p.Label, err)
	}
	return true, nil
}

// revoke deletes the token: GitHub's have no end of their own.
func (s *gitHubSource) revoke(ctx context.Context, g grant) error {
	body, err := json.Marshal(map[string]string{"access_token": g.Access})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.api+"/applications/"+url.PathEscape(s.p.ClientID)+"/token", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth(s.p.ClientID, s.p.ClientSecret)
	return expectOK(s.client, r)
}
