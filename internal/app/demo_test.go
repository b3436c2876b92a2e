package app_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/app"
	"github.com/kept-dev/kept/internal/platform/config"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// screen is what a demo prints to its terminal.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
	grew chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

// await waits until the screen shows a match.
func (s *screen) await(t *testing.T, ended <-chan error, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(2 * time.Minute)
	for {
		s.mu.Lock()
		m := re.FindStringSubmatch(s.text.String())
		s.mu.Unlock()
		if m != nil {
			return m
		}
		select {
		case <-s.grew:
		case err := <-ended:
			t.Fatalf("the demo ended: %v", err)
		case <-timeout:
			t.Fatalf("nothing on the screen matches %s", pattern)
		}
	}
}

// TestDemo walks a newcomer's path: start it, open the link, look around. With KEPT_SHOTS=DIR it leaves the pictures of
// the README there.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &screen{grew: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	cfg := config.Default()
	cfg.Addr, cfg.Data, cfg.LogLevel = "127.0.0.1:0", t.TempDir(), "error"
	go func() { ended <- app.RunDemo(ctx, cfg, false, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	link := s.await(t, ended, `(http://\S+/sign-in/link\S+)`)[1]
	enough := `100 of 300 jobs done`
	if os.Getenv("KEPT_SHOTS") != "" {
		enough = `300 jobs done;`
	}
	s.await(t, ended, enough)

	p := uitest.Start(t).Open(t, link)
	p.Click(t, "main form button")
	p.Wait(t, `location.pathname.endsWith("/jobs") && document.querySelectorAll("tbody tr").length > 20`)
	for _, status := range []string{"completed", "failed"} {
		p.Wait(t, `!!document.querySelector("[href*='status=`+status+`']")`)
	}
	base := p.URL(t)
	shoot := func(name string) {
		p.Axe(t)
		p.FitsWidth(t)
		if dir := os.Getenv("KEPT_SHOTS"); dir != "" {
			p.View(t, filepath.Join(dir, name+".png"))
		}
	}
	p.Size(t, 1280, 860)
	shoot("jobs-list")
	p.Go(t, base+"?status=failed")
	p.Wait(t, `document.querySelectorAll("tbody tr").length > 0`)
	shoot("jobs-failed")
	// Not by the pointer: jobs arrive all the time, and the row that it aims at may move away from under it.
	p.Run(t, `setTimeout(() => document.querySelector("tbody tr a").click())`)
	p.Wait(t, `location.pathname.split("/").length > 4`)
	shoot("jobs-job")
	p.Go(t, base+"/queues")
	p.Wait(t, `document.querySelectorAll("tbody tr").length > 2`)
	shoot("jobs-queues")
	ws := strings.TrimSuffix(base, "/jobs")
	for _, seen := range []struct{ path, name, sign string }{
		{"/hosts", "hosts", `document.querySelectorAll("main tbody tr").length === 1`},
		{"/dashboards/app.demo.shop", "dashboard-shop", `document.querySelectorAll("main canvas").length > 2 && !document.querySelector("main").textContent.includes("No data")`},
		{"/status-page", "status-page", `document.querySelector("main").textContent.includes("Exchange rates")`},
		{"/alerts/rules", "rules", `document.querySelector("main").textContent.includes("ExchangeRatesFailing")`},
	} {
		p.Go(t, ws+seen.path)
		p.Wait(t, seen.sign) // the pages follow what is measured
		shoot(seen.name)
	}
	p.Go(t, base+"/queues")
	p.Size(t, 390, 844)
	shoot("jobs-queues-phone")
	p.Dark(t, true)
	p.Go(t, base)
	shoot("jobs-list-phone-dark")
}
