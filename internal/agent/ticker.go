package agent

import (
	"context"
	"log/slog"
	"time"
)

// longPause is how far a clock may go back before the agent no longer waits until it is where it was. It is more than a
// day, so that a clock which was set a day or a time zone wrong does not write two truths about the same time.
const longPause = 26 * time.Hour

// ticker gives times that are exact multiples of an interval, each once, each later than the one before, whatever the
// clock does. A multiple that is missed, because something took long or the machine slept, is left out.
type ticker struct {
	interval time.Duration
	last     int64 // milliseconds; given out before
	log      *slog.Logger
	behind   bool
}

// newTicker returns a ticker that begins after the time last, which another process may have given out. The first time it
// gives is the current multiple.
func newTicker(interval time.Duration, last int64, log *slog.Logger) *ticker {
	return &ticker{interval: interval, last: last, log: log}
}

// wait returns the next time, or false when ctx ended.
func (c *ticker) wait(ctx context.Context) (at int64, ok bool) {
	for ctx.Err() == nil {
		now := time.Now().UnixMilli()
		if at, ok := c.at(now); ok {
			return at, true
		}
		step := c.interval.Milliseconds()
		timer := time.NewTimer(time.Duration(step-now%step) * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return 0, false
}

// at returns the multiple that it is, if it was not given out and none after it was.
func (c *ticker) at(now int64) (at int64, ok bool) {
	at = now - now%c.interval.Milliseconds()
	back := time.Duration(c.last-at) * time.Millisecond
	switch {
	case at > c.last:
	case back > longPause:
		c.log.Error("the clock went back by more than a day: measurements begin again from now", "back", back)
	default:
		if back > 2*c.interval && !c.behind {
			c.behind = true
			c.log.Warn("the clock went back: measurements wait until it is where it was", "back", back)
		}
		return 0, false
	}
	c.last, c.behind = at, false
	return at, true
}
