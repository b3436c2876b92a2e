package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// SignInProvider is one entry of the file that OIDCProviders names: where people may have an account with which they
// sign in. What a preset is and what it needs besides is checked by who uses it.
type SignInProvider struct {
	Key              string   `json:"key"`
	Preset           string   `json:"preset"` // "oidc" when empty
	Label            string   `json:"label"`
	Issuer           string   `json:"issuer"`
	ClientID         string   `json:"client_id"`
	ClientSecret     Secret   `json:"client_secret"`
	ClientSecretFile string   `json:"client_secret_file"` // its first line is the secret; beside the providers' file when relative
	Scopes           []string `json:"scopes"`
	Hosts            []string `json:"hosts"` // that the server may connect to besides the issuer's
}

// signInKeys are the keys of an entry.
var signInKeys = []string{"key", "preset", "label", "issuer", "client_id", "client_secret", "client_secret_file", "scopes", "hosts"}

// maxProviders bounds the list: more than a few buttons help nobody.
const maxProviders = 20

// SignInProviders reads the file that OIDCProviders names: a JSON list. Without one there are none.
func (c *Config) SignInProviders() ([]SignInProvider, error) {
	if c.OIDCProviders == "" {
		return nil, nil
	}
	text, err := readLimited(c.OIDCProviders)
	if err != nil {
		return nil, invalid("oidc-providers", "%v", err)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal([]byte(text), &entries); err != nil {
		return nil, invalid("oidc-providers", "%s is not a JSON list of providers: %v", c.OIDCProviders, err)
	}
	if len(entries) > maxProviders {
		return nil, invalid("oidc-providers", "%s has %d providers; %d are the most", c.OIDCProviders, len(entries), maxProviders)
	}
	out := make([]SignInProvider, len(entries))
	for i, raw := range entries {
		if out[i], err = readProvider(raw, filepath.Dir(c.OIDCProviders)); err != nil {
			return nil, invalid("oidc-providers", "%s, provider %d: %v", c.OIDCProviders, i+1, err)
		}
	}
	return out, nil
}

func readProvider(raw []byte, dir string) (p SignInProvider, err error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return p, fmt.Errorf("it is not an object: %w", err)
	}
	for _, key := range sortedKeys(keys) {
		if slices.Contains(signInKeys, key) {
			continue
		}
		hint := ""
		if near := Nearest(key, signInKeys); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return p, fmt.Errorf("there is no key %q%s", key, hint)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return SignInProvider{}, err
	}
	if p.Preset == "" {
		p.Preset = "oidc"
	}
	if p.ClientSecretFile == "" {
		return p, nil
	}
	if p.ClientSecret != "" {
		return SignInProvider{}, fmt.Errorf("give client_secret or client_secret_file, not both")
	}
	path := p.ClientSecretFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	text, err := readLimited(path)
	if err != nil {
		return SignInProvider{}, fmt.Errorf("client_secret_file: %w", err)
	}
	first, _, _ := strings.Cut(text, "\n")
	p.ClientSecret = Secret(strings.TrimSpace(first))
	return p, nil
}
