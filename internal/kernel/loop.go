package kernel

import (
	"context"
	"sync"
	"time"
)

// Loop calls a function again and again between Start and Stop, such as one that writes down what was counted in memory. The
// zero value is ready; starting or stopping it twice does nothing.
type Loop struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// Start begins to call f, for the first time after a while and one call at a time. Its context ends with Stop.
func (l *Loop) Start(every time.Duration, f func(context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.cancel, l.done = cancel, done
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				f(ctx)
			}
		}
	}()
}

// Stop ends the calls and waits for one that is under way.
func (l *Loop) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel == nil {
		return
	}
	l.cancel()
	<-l.done
	l.cancel = nil
}
