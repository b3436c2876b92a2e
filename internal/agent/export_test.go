package agent

import (
	"log/slog"
	"time"
)

// NewTicker gives tests the ticker without its clock.
func NewTicker(interval time.Duration, last int64) func(now int64) (int64, bool) {
	return newTicker(interval, last, slog.New(slog.DiscardHandler)).at
}
