// Package pgtest gives each test a PostgreSQL database of its own.
//
// The databases live on one throw-away server: the one that KEPT_TEST_POSTGRES
// names (`make test` starts it once and sets that), else one that the test
// binary starts when the first test asks and that ends with the binary.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kept-dev/kept/internal/testkit/external"
)

// Env names the variable with the URL of a server on which tests may create
// and drop databases.
const Env = "KEPT_TEST_POSTGRES"

// own is the server of this test binary. It is never stopped: it is leashed to
// the process (see external.Start).
var own = sync.OnceValues(func() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Start(ctx)
})

// URL returns the URL of a new, empty database that is dropped when the test
// ends, whoever is still connected. Text sorts by bytes in it (locale C) unless
// a collation says otherwise.
func URL(t testing.TB) string {
	t.Helper()
	admin, err := adminURL()
	external.Check(t, err)
	name := "t_" + strings.ToLower(rand.Text())
	run(t, admin, "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() { run(t, admin, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(admin)
	external.Check(t, err)
	u.Path = "/" + name
	return u.String()
}

func adminURL() (string, error) {
	if u := os.Getenv(Env); u != "" {
		return u, nil
	}
	server, err := own()
	if err != nil {
		return "", err
	}
	return server.URL, nil
}

func run(t testing.TB, server, sql string) {
	t.Helper()
	// Not t.Context(): that one has ended when clean-up runs.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := execSQL(ctx, server, sql); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

func execSQL(ctx context.Context, server, sql string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
