package federation

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/platform/config"
)

// The presets: what is known of a provider besides the application's id and secret.
const (
	Google    = "google"
	GitHub    = "github"
	Microsoft = "microsoft"
	GitLab    = "gitlab"
	OIDC      = "oidc" // any provider with OpenID Connect discovery
)

// Provider is where people may have an account with which they sign in here.
type Provider struct {
	Key          string   // names it in addresses and in the database: small letters, digits, hyphens; never changed later
	Preset       string   // Google, GitHub, Microsoft, GitLab or OIDC
	Label        string   // for people; the preset's when empty
	Issuer       string   // its address: needed for OIDC, optional where a preset can be hosted by oneself or has tenants
	ClientID     string   // that the provider gave the operator
	ClientSecret string   // and its secret; may be empty for OIDC, where a provider has public clients
	Scopes       []string // asked for; the preset's when empty
	Hosts        []string // that the server may connect to besides those of the issuer and the preset
}

// preset is what is known of a kind of provider.
type preset struct {
	label  string
	issuer string   // empty: the operator names it
	hosts  []string // besides the issuer's
	scopes []string
	// proof is the claim by which it vouches for an address.
	proof func(claims) bool
	// userinfo tells whether its userinfo endpoint may fill in what the ID token lacks.
	userinfo bool
}

const (
	googleIssuer    = "https://accounts.google.com"
	gitHubIssuer    = "https://github.com"
	microsoftIssuer = "https://login.microsoftonline.com/common/v2.0"
	gitLabIssuer    = "https://gitlab.com"
)

// presetOf knows the presets.
func presetOf(name string) (preset, bool) {
	verified := func(c claims) bool { return bool(c.EmailVerified) }
	standard := []string{"openid", "email", "profile"}
	switch name {
	case Google:
		return preset{label: "Google", issuer: googleIssuer, scopes: standard, proof: verified, userinfo: true,
			hosts: []string{"oauth2.googleapis.com", "openidconnect.googleapis.com", "www.googleapis.com"}}, true
	case GitHub:
		return preset{label: "GitHub", issuer: gitHubIssuer, scopes: []string{"read:user", "user:email"}}, true
	case Microsoft:
		// Anybody who runs a tenant writes what he likes into its accounts' e-mail address. Only xms_edov says that the
		// owner of the address's domain was asked.
		return preset{label: "Microsoft", issuer: microsoftIssuer, scopes: standard, proof: func(c claims) bool { return bool(c.DomainVerified) }}, true
	case GitLab:
		return preset{label: "GitLab", issuer: gitLabIssuer, scopes: standard, proof: verified, userinfo: true}, true
	case OIDC:
		return preset{label: "", scopes: standard, proof: verified, userinfo: true}, true
	}
	return preset{}, false
}

var presetNames = []string{Google, GitHub, Microsoft, GitLab, OIDC}

var keyShape = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$`)

// complete checks a provider and fills in what its preset knows.
func (p Provider) complete() (Provider, preset, error) {
	fail := func(format string, args ...any) (Provider, preset, error) {
		return p, preset{}, fmt.Errorf("sign-in provider %q: %s", p.Key, fmt.Sprintf(format, args...))
	}
	if !keyShape.MatchString(p.Key) {
		return fail("its key must be of small letters, digits and hyphens, at most 32, such as \"google\"")
	}
	known, ok := presetOf(p.Preset)
	if !ok {
		hint := "use " + strings.Join(presetNames, ", ")
		if near := config.Nearest(p.Preset, presetNames); near != "" {
			hint = "did you mean " + near + "?"
		}
		return fail("there is no preset %q; %s", p.Preset, hint)
	}
	if p.Label == "" {
		p.Label = known.label
	}
	if p.Issuer == "" {
		p.Issuer = known.issuer
	}
	if len(p.Scopes) == 0 {
		p.Scopes = known.scopes
	}
	switch {
	case p.Label == "" || len(p.Label) > 60:
		return fail("give it a label of at most 60 characters, which people will read on a button")
	case p.ClientID == "":
		return fail("client_id is missing")
	case p.ClientSecret == "" && p.Preset != OIDC:
		return fail("client_secret is missing")
	case p.Issuer == "":
		return fail("issuer is missing, the address under which it has /.well-known/openid-configuration")
	case p.Preset != GitHub && !slices.Contains(p.Scopes, "openid"):
		return fail("scopes must contain openid")
	}
	if p.Preset == GitHub || p.Preset == GitLab {
		p.Issuer = strings.TrimRight(p.Issuer, "/")
	}
	if err := checkEndpoint(p.Issuer); err != nil {
		return fail("issuer: %v", err)
	}
	return p, known, nil
}

// checkEndpoint wants an address that is reached over TLS. This machine needs none: nobody listens in between.
func checkEndpoint(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q is not an address such as https://login.example.com", address)
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("it must begin with https://, so that nobody in between can pose as the provider")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// hostOf is the host of an address, in small letters, without a port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// ServerHosts are the hosts that the server connects to for a provider. It connects to no other.
func (p Provider) ServerHosts() []string {
	known, _ := presetOf(p.Preset)
	issuer := p.Issuer
	if issuer == "" {
		issuer = known.issuer
	}
	hosts := []string{hostOf(issuer)}
	if p.Preset == GitHub && issuer == gitHubIssuer {
		hosts = append(hosts, hostOf(gitHubAPI))
	}
	for _, h := range slices.Concat(known.hosts, p.Hosts) {
		if name, _, err := net.SplitHostPort(h); err == nil {
			h = name
		}
		hosts = append(hosts, strings.ToLower(h))
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
