package dashboard

import (
	"net/url"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// The limits of what is shown.
const (
	defaultRange = time.Hour
	maxRange     = 3 * 366 * 24 * time.Hour
	minRefresh   = 5 * time.Second
)

// length is what a dashboard shows when the address names no time.
func (d *Dashboard) length() time.Duration {
	if n, err := model.ParseDuration(d.Range); err == nil && n > 0 {
		return time.Duration(n)
	}
	return defaultRange
}

// readRange reads the time of a page's address; a dashboard that looks again by itself says so where the address does not.
func (d *Dashboard) readRange(u *url.URL, now time.Time) ui.TimeRange {
	tr := ui.ReadTimeRange(u, now, d.length())
	if _, said := u.Query()["refresh"]; !said {
		if every, err := model.ParseDuration(d.Refresh); err == nil {
			tr.Refresh = time.Duration(every)
		}
	}
	return tr
}

// strictRange is readRange for programs: what cannot be read is an error.
func (d *Dashboard) strictRange(u *url.URL, now time.Time) (ui.TimeRange, error) {
	tr := ui.ReadTimeRange(u, now, d.length())
	if tr.Problem != "" {
		return tr, kernel.Errorf(kernel.Malformed, "%s", tr.Problem)
	}
	return tr, nil
}

// promDuration writes a duration as PromQL does.
func promDuration(d time.Duration) string {
	return model.Duration(max(d.Round(time.Millisecond), time.Millisecond)).String()
}
