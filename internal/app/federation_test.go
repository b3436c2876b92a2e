package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit"
)

// providersFile writes what --oidc-providers names.
func providersFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "providers.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSignInProvidersAreListed: whom the server connects to when people sign in with a provider stands in the list of
// processors, and the pages offer each provider.
func TestSignInProvidersAreListed(t *testing.T) {
	t.Parallel()
	file := providersFile(t, `[{"key": "google", "preset": "google", "client_id": "a", "client_secret": "hunter2"},
		{"key": "github", "preset": "github", "client_id": "b", "client_secret": "hunter2"},
		{"key": "work", "label": "Example Ltd", "issuer": "https://id.example.com", "client_id": "c", "hosts": ["keys.example.com"]}]`)
	a := testkit.Start(t, testkit.RealPasswords(), testkit.Config(func(c *config.Config) { c.OIDCProviders = file }))
	a.Get("/sign-in").Want(200).Has("Continue with Google", "Continue with GitHub", "Continue with Example Ltd")
	p := a.SignedUp(t)
	p.Get("/account/providers").Want(200).Has("Link Google", "Link GitHub", "Link Example Ltd").Lacks("hunter2")
	p.Get("/account/security").Want(200).Has("Sign-in providers")

	report, err := app.Promises(t.Context(), a.Config, app.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_ = report.WriteText(&b)
	if text := b.String(); !report.OK() || !strings.Contains(text, "outbound hosts 8, processors 8") || strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}

func TestSignInProvidersThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"did you mean google?":        `[{"key": "google", "preset": "gogle", "client_id": "a", "client_secret": "b"}]`,
		"there are two with this key": `[{"key": "a", "preset": "google", "client_id": "a", "client_secret": "b"}, {"key": "a", "preset": "github", "client_id": "a", "client_secret": "b"}]`,
		"must begin with https://":    `[{"key": "a", "label": "A", "issuer": "http://id.example.com", "client_id": "a"}]`,
		"did you mean client_secret?": `[{"key": "a", "client-secret": "b"}]`,
	} {
		cfg := config.Default()
		cfg.Data, cfg.Addr, cfg.OIDCProviders = t.TempDir(), "127.0.0.1:0", providersFile(t, text)
		_, err := app.New(t.Context(), cfg, app.WithLogger(slog.New(slog.DiscardHandler)))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--oidc-providers") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
