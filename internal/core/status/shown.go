package status

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// shown is what a public page is drawn from. It is kept for a moment, so that a page that everybody looks at during an
// incident costs the database as much as one that nobody does.
type shown struct {
	page       Page
	components []Component
	notices    []Notice

	until time.Time
}

const (
	showFor   = 10 * time.Second // what other processes publish is seen after so long at the latest
	maxShown  = 1000             // pages
	serverKey = " server"        // no slug is like that
)

// show is what is kept under a key, or else what load finds.
func (m *Module) show(ctx context.Context, key string, load func(context.Context) (shown, error)) (shown, error) {
	now := m.d.Clock()
	if s, ok := m.shown.Get(key); ok && now.Before(s.until) {
		return s, nil
	}
	s, err := load(ctx)
	if err != nil {
		return s, err
	}
	s.until = now.Add(showFor)
	m.shown.Put(key, s, 1)
	return s, nil
}

// public is what the page at an address shows. One that is off is as if it were not.
func (m *Module) public(ctx context.Context, slug string) (shown, error) {
	return m.show(ctx, slug, func(ctx context.Context) (s shown, err error) {
		if s.page, err = m.publicPageAt(ctx, slug); err != nil {
			return s, err
		}
		if s.components, err = m.Components(ctx, s.page.WorkspaceID); err != nil {
			return s, err
		}
		s.notices, err = m.Notices(ctx, s.page.WorkspaceID, m.d.Clock().Add(-barDays*24*time.Hour), false)
		return s, err
	})
}

// changed forgets what is shown, after something was published here. That is rare, so all of it goes.
func (m *Module) changed() {
	m.shown.DeleteFunc(func(string) bool { return true })
}

// find is one of the notices that a page shows.
func (s shown) find(id kernel.ID) (Notice, bool) {
	for _, n := range s.notices {
		if n.ID == id {
			return n, true
		}
	}
	return Notice{}, false
}
