package agent

import (
	"log/slog"
	"time"
)

// NewTicker gives tests the ticker without its clock.
func NewTicker(interval time.Duration, last int64) func(now int64) (int64, bool) {
	return newTicker(interval, last, slog.New(slog.DiscardHandler)).at
}

// SaveIdentity puts a certificate that was made at a time into a folder.
func SaveIdentity(dir string, made time.Time) error {
	id, err := newIdentity(made)
	if err != nil {
		return err
	}
	return id.save(dir)
}
