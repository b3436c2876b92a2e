package app_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit"
)

func TestTLSIsAtLeast12(t *testing.T) {
	t.Parallel()
	cert, key := app.WriteCertificate(t, t.TempDir(), 1)
	a := testkit.Start(t, testkit.Config(func(c *config.Config) { c.TLSCert, c.TLSKey = cert, key }))
	addr, ok := strings.CutPrefix(a.URL(), "https://")
	if !ok {
		t.Fatalf("the address is %s", a.URL())
	}
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if err == nil {
			conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: accepted %v, want %v (%v)", tls.VersionName(version), err == nil, want, err)
		}
	}
}
