package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func providersFile(t *testing.T, text string) Config {
	t.Helper()
	cfg := Default()
	cfg.OIDCProviders = filepath.Join(t.TempDir(), "providers.json")
	if err := os.WriteFile(cfg.OIDCProviders, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestSignInProviders(t *testing.T) {
	t.Parallel()
	cfg := providersFile(t, `[{"key":"google","preset":"google","client_id":"a","client_secret":"hunter2"},
		{"key":"work","label":"Work","issuer":"https://login.example.com","client_id":"b","client_secret_file":"work.secret","scopes":["openid","email"],"hosts":["keys.example.com"]}]`)
	if err := os.WriteFile(filepath.Join(filepath.Dir(cfg.OIDCProviders), "work.secret"), []byte("hunter3\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	got, err := cfg.SignInProviders()
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if got[0].ClientSecret.Text() != "hunter2" || got[1].ClientSecret.Text() != "hunter3" || got[1].Preset != "oidc" || got[1].Hosts[0] != "keys.example.com" {
		t.Errorf("read %q, %q, %+v", got[0].ClientSecret.Text(), got[1].ClientSecret.Text(), got[1])
	}
	out, _ := json.Marshal(got)
	if text := fmt.Sprintf("%v %+v %#v %s", got, got, got, out); strings.Contains(text, "hunter") {
		t.Errorf("a secret is printed: %s", text)
	}
	cfg.OIDCProviders = ""
	if got, err = cfg.SignInProviders(); err != nil || got != nil {
		t.Errorf("without a file there is %v, %v", got, err)
	}
}

func TestSignInProvidersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"key":"google"}`: "is not a JSON list of providers",
		`["google"]`:       "provider 1: it is not an object",
		`[{"key":"a"},{"key":"b","clientid":"x"}]`: `provider 2: there is no key "clientid"; did you mean client_id?`,
		`[{"key":7}]`: "provider 1:",
		`[{"client_secret":"a","client_secret_file":"b"}]`:      "not both",
		`[{"client_secret_file":"nowhere"}]`:                    "client_secret_file:",
		"[" + strings.Repeat(`{"key":"a"},`, 20) + `{"key":1}]`: "20 are the most",
	} {
		cfg := providersFile(t, text)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--oidc-providers (KEPT_OIDC_PROVIDERS)") {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
	cfg := Default()
	cfg.OIDCProviders = "/does/not/exist"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "--oidc-providers") {
		t.Errorf("a file that is not there: %v", err)
	}
}
