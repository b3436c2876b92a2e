package jobs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/ui/uitest"
)

// shots writes pictures of a page where KEPT_SHOTS says, for people to look at.
func shots(t *testing.T, p *uitest.Page, name string) {
	t.Helper()
	for _, look := range looks {
		p.Size(t, look.width, 900)
		p.Dark(t, look.dark)
		p.FitsWidth(t)
		p.Axe(t)
		if dir := os.Getenv("KEPT_SHOTS"); dir != "" {
			p.Screenshot(t, filepath.Join(dir, fmt.Sprintf("%s-%d-dark=%v.png", name, look.width, look.dark)), look.width, look.dark)
		}
	}
}

var looks = []struct {
	width int64
	dark  bool
}{{1280, false}, {1280, true}, {390, false}, {390, true}}

func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	b := uitest.Start(t)
	w := newWorldAt(t, time.Now())
	w.day(t)
	empty := newWorld(t)
	job := w.base() + "/mail/01HV7Q2M9Z3K"
	for name, url := range map[string]string{
		"list": w.base(), "list-filtered": w.base() + "?q=ECONNREFUSED&queue=mail&time=24h&over=1s", "list-failed": w.base() + "?status=failed&time=custom&from=2026-03-09T09:00:00Z&under=abc",
		"queues": w.base() + "/queues", "queues-1h": w.base() + "/queues?time=1h&env=staging", "queues-empty": empty.base() + "/queues", "settings": w.base() + "/settings",
		"job": job, "job-active": w.base() + "/media/8e7c1f04-77d2-4c1b-9f0e-5f4f1f2a9b10", "job-stalled": w.base() + "/reports/repeat:9f1:1772000000",
		"job-parent": w.base() + "/orders/ORD-2026-00041", "job-delayed": w.base() + "/mail/nl-2026-03",
		"none": w.base() + "?queue=nowhere", "connect": empty.base(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shots(t, b.Open(t, url), name)
		})
	}
}
