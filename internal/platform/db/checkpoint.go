package db

import (
	"context"
	"sync"
	"time"
)

// checkpointEvery is how often the write-ahead log of a Bulk database is copied into its file.
const checkpointEvery = 250 * time.Millisecond

// keepCheckpointing copies the write-ahead log into the database file in the background, on a connection of its own.
// Otherwise the commit that fills the log would do it, and everybody who waits for a commit would wait for that. What it
// leaves undone while readers are in the way, the next turn does; a failure leaves the log longer and nothing worse.
func (d *DB) keepCheckpointing() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(checkpointEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, _ = d.checkpointer.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
			}
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() {
			cancel()
			<-done
			_ = d.checkpointer.Close()
		})
	}
}
