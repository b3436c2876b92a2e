package jobs

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
	"github.com/kept-dev/kept/internal/platform/live"
)

// The topics: that a workspace's log has grown, for the projectors of other instances, and that what one sees has
// changed, for people who look.
const topicAppended = "jobs.appended"

func topicChanged(ws kernel.WorkspaceID) string { return "jobs.changed." + string(ws) }

// announceEvery bounds how often the same word is passed on.
const announceEvery = 250 * time.Millisecond

// stats are what the app remembers of who was told when.
type stats struct {
	mu     sync.Mutex
	toldAt map[string]time.Time
}

// due tells whether it is time to pass on word under a topic again; if not, somebody else soon will.
func (s *stats) due(topic string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.toldAt == nil {
		s.toldAt = map[string]time.Time{}
	}
	if now.Sub(s.toldAt[topic]) < announceEvery {
		return false
	}
	s.toldAt[topic] = now
	return true
}

func (m *Module) appended(a eventlog.Appended) {
	m.projector.Appended(a)
	if m.d.DB.Dialect() == db.Postgres && m.stats.due(topicAppended+string(a.Workspace), time.Now()) {
		tell := func() { m.d.Bus.Publish(context.Background(), topicAppended, []byte(a.Workspace)) } // the bus tells of lost words
		go tell()
		time.AfterFunc(announceEvery, tell) // of what is appended meanwhile
	}
}

// changed tells the pages that show a workspace. What is dropped here because word was just given is made up for by the
// trailing word, since the last change of a burst must reach the page too.
func (m *Module) changed(ws kernel.WorkspaceID) {
	topic := topicChanged(ws)
	if m.stats.due(topic, time.Now()) {
		m.d.Bus.Publish(context.Background(), topic, nil)
		time.AfterFunc(announceEvery, func() { m.d.Bus.Publish(context.Background(), topic, nil) })
	}
}

// listen follows what other instances append.
func (m *Module) listen(ctx context.Context) error {
	if m.d.DB.Dialect() != db.Postgres {
		return nil
	}
	sub, err := m.d.Bus.Subscribe(context.WithoutCancel(ctx), topicAppended)
	if err != nil {
		return err
	}
	go func() {
		for {
			msg, err := sub.Next(context.WithoutCancel(ctx))
			if err != nil {
				return
			}
			if msg.Missed {
				m.nudgeAll(ctx)
				continue
			}
			m.projector.Nudge(kernel.WorkspaceID(msg.Payload))
		}
	}()
	return nil
}

func (m *Module) nudgeAll(ctx context.Context) {
	known, err := m.log.Workspaces(context.WithoutCancel(ctx))
	if err != nil {
		m.d.Logger.Warn("jobs: cannot list workspaces", "error", err)
		return
	}
	for _, ws := range known {
		m.projector.Nudge(ws)
	}
}

// live streams a word to a page whenever the workspace's jobs have changed.
func (m *Module) live(w http.ResponseWriter, r *http.Request) error {
	return live.Changes(w, r, m.d.Bus, topicChanged(httpx.ActorOf(r.Context()).WorkspaceID))
}
