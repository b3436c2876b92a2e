package kernel

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoop: it calls between start and stop, once per time, and can be stopped, and started again.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Loop
		l.Stop()
		n := 0
		count := func(context.Context) { n++ }
		for round := 1; round <= 2; round++ {
			l.Start(time.Minute, count)
			l.Start(time.Minute, count)
			time.Sleep(3*time.Minute + time.Second)
			synctest.Wait()
			l.Stop()
			l.Stop()
			time.Sleep(time.Hour)
			if n != 3*round {
				t.Errorf("called %d times in round %d", n, round)
			}
		}
	})
}
