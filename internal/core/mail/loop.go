package mail

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// pollEvery is how soon mail goes out that another instance wrote, or that is due again.
const pollEvery = 15 * time.Second

// loop is the background work: it runs when something was written here, and every pollEvery.
type loop struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
	signal chan struct{}
}

func (l *loop) init() { l.signal = make(chan struct{}, 1) }

func (l *loop) wake() {
	select {
	case l.signal <- struct{}{}:
	default: // it will look anyway
	}
}

// Start begins to send in the background. Starting twice does nothing.
func (m *Module) Start(context.Context) error {
	l := &m.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.done = cancel, make(chan struct{})
	go m.run(ctx, l.done)
	return nil
}

// Stop ends sending and waits for the attempt under way, at most until ctx ends. What was not sent stays in the outbox.
// Stopping twice, or before starting, does nothing.
func (m *Module) Stop(ctx context.Context) error {
	l := &m.loop
	l.mu.Lock()
	cancel, done := l.cancel, l.done
	l.cancel = nil
	l.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Module) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if _, err := m.Drain(ctx); err != nil && ctx.Err() == nil {
			m.d.Logger.Error("outbox could not be read", slog.Any("cause", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-m.loop.signal:
		case <-tick.C:
		}
	}
}
