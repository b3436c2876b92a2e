package app_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/testkit"
)

// TestPromisesOverRealSecrets makes one of each thing that lets somebody in, by the pages and the API, and has the
// promises about them checked: all are kept, and each check has seen what it is about.
func TestPromisesOverRealSecrets(t *testing.T) {
	t.Parallel()
	testkit.EachApp(t, func(t *testing.T, a *testkit.App) {
		p := a.SignedUp(t)
		var pair struct{ Access, Refresh string }
		a.JSON("POST", "/api/v1/mobile/sign-in", "", map[string]string{"email": p.Email, "password": testkit.Password}).Want(200).Decode(&pair)
		first := pair.Refresh
		a.JSON("POST", "/api/v1/mobile/refresh", "", map[string]string{"refresh": first}).Want(200).Decode(&pair)
		a.JSON("GET", "/api/v1/me", pair.Access, nil).Want(200).Has(p.Email)
		page := p.PostForm("/account/tokens", url.Values{"name": {"script"}, "workspace": {string(p.WorkspaceID)}, "scope-read": {"on"}, "expires": {"30"}}).Want(200)
		token := regexp.MustCompile(`keptp_[0-9A-Za-z]{43}`).FindString(page.Body)
		a.JSON("GET", "/api/v1/jobs", token, nil).Want(200)
		code := enrolApp(t, a, a.SignedUp(t)) // of somebody else: it ends the person's apps

		report, err := app.Promises(t.Context(), a.Config, app.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{"SEC-2": "sealed_secrets", "SEC-3": "keys", "SEC-7": "refresh_hash", "SEC-8": "memberships", "SEC-9": "minimum_age", "RGT-6": "careful_routes"}
		for _, pr := range report.Promises {
			if name := seen[pr.ID]; name != "" && (pr.Outcome != privacy.Kept || pr.Evidence.Counts[name] == 0) {
				t.Errorf("%s is %s: %s %v", pr.ID, pr.Outcome, pr.Reason, pr.Evidence)
			}
		}
		for _, secret := range []string{pair.Access, pair.Refresh, first, token, p.APIKey, code} {
			hits, err := privacy.Find(t.Context(), a.Databases(), secret)
			if err != nil || len(hits) > 0 || secret == "" {
				t.Errorf("%d characters: %v, %v", len(secret), hits, err)
			}
		}
	})
}

// enrolApp gives a person an authenticator app and returns one of the recovery codes.
func enrolApp(t *testing.T, a *testkit.App, p *testkit.Person) string {
	t.Helper()
	body := p.PostForm("/account/authenticator", nil).Want(200).Body
	shown := regexp.MustCompile(`\b(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}\b`).FindString(body)
	flow := regexp.MustCompile(`name="flow" value="([^"]+)"`).FindStringSubmatch(body)
	secret, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(shown, " ", ""))
	if err != nil || len(secret) == 0 || flow == nil {
		t.Fatalf("no secret: %v", err)
	}
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(a.Clock.Now().Unix()/30)))
	sum := mac.Sum(nil)
	code := fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
	done := p.PostForm("/account/authenticator/confirm", url.Values{"flow": {html.UnescapeString(flow[1])}, "code": {code}}).Want(200)
	return regexp.MustCompile(`\b(?:[0-9a-z]{4}-){5}[0-9a-z]{4}\b`).FindString(done.Body)
}
