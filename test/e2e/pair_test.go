package e2e_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/testkit"
	"github.com/kept-dev/kept/internal/testkit/pgtest"
)

// TestTwoServersAreOne has an agent report to one server what people ask of another one on the same database: the last
// of a burst must get there too.
func TestTwoServersAreOne(t *testing.T) {
	t.Parallel()
	database := testkit.Database(pgtest.URL(t))
	key := testkit.Config(func(c *config.Config) {
		c.InstanceKey = config.Secret(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))))
	})
	one, two := testkit.Start(t, database, key), testkit.Start(t, database, key)
	p := one.SignedUp(t)
	there := *p // the same login, on the other server
	there.Browser = testkit.NewBrowser(t, two.URL())
	there.SignIn(p.Email, testkit.Password)
	changed := changes(t, two, &there)
	const burst = 5
	for i := range burst {
		at := time.Now().UnixMilli()
		one.JSON("POST", "/api/v1/events", p.APIKey, map[string]any{"events": []any{
			map[string]any{"jobId": fmt.Sprint(i), "jobName": "n", "queue": "q", "event": "active", "timestamp": at},
		}}).Want(200)
	}
	until(t, changed, func() []string {
		var list jobs.JobListJSON
		there.JSON("GET", "/api/v1/jobs", p.APIKey, nil).Want(200).Decode(&list)
		if n := len(list.Jobs); n != burst {
			return []string{fmt.Sprintf("the other server lists %d of %d jobs", n, burst)}
		}
		return nil
	})
}
