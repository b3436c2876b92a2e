package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// stops is the stack of what has to be undone, newest first.
type stops struct {
	mu    sync.Mutex
	stack []stop
}

type stop struct {
	name string
	f    func(context.Context) error
}

// slowStop is how long a step may take before the log names it.
const slowStop = 2 * time.Second

func (s *stops) push(name string, f func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stack = append(s.stack, stop{name, f})
}

func (s *stops) pop() (stop, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.stack) == 0 {
		return stop{}, false
	}
	last := s.stack[len(s.stack)-1]
	s.stack = s.stack[:len(s.stack)-1]
	return last, true
}

// run empties the stack. Every step runs, whatever the ones before it returned.
func (s *stops) run(ctx context.Context, logger *slog.Logger) error {
	var all error
	for {
		step, ok := s.pop()
		if !ok {
			return all
		}
		begun := time.Now()
		if err := step.f(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("stop %s: %w", step.name, err))
		}
		if took := time.Since(begun); took > slowStop {
			logger.Warn("stopping took long", "what", step.name, "took", took.Round(time.Millisecond).String())
		}
	}
}
