package testkit

import (
	"sync/atomic"
	"time"
)

// Clock is a clock that a test moves. Otherwise it runs like the wall clock, so that durations are those of the test.
type Clock struct{ offset atomic.Int64 }

// NewClock makes a clock that shows the present time.
func NewClock() *Clock { return &Clock{} }

// Now is the time that the clock shows, in UTC.
func (c *Clock) Now() time.Time { return time.Now().UTC().Add(time.Duration(c.offset.Load())) }

// Advance moves the clock; a negative duration moves it back.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }
