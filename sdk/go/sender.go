package kept

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
	maxFaults    = 6 // tries of a batch on which the server itself fails; it may be the batch
)

// run is the sender: the only goroutine that makes requests.
func (c *Client) run() {
	defer close(c.done)
	defer func() {
		if c.post.own {
			c.post.client.CloseIdleConnections()
		}
	}()
	for closing := false; !closing; {
		closing = c.gather()
		c.drain()
	}
	if n := c.buf.dropAll(); n > 0 {
		c.lose(ErrClosed, n)
	}
	c.tellLosses()
}

// gather waits until there is something to send, and then a little for company.
func (c *Client) gather() (closing bool) {
	select {
	case <-c.buf.some:
	case <-c.buf.enow:
		return false
	case <-c.closing:
		return true
	}
	timer := time.NewTimer(c.cfg.FlushInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.buf.enow:
	case <-c.closing:
		return true
	}
	return false
}

// drain sends everything that is in the buffer.
func (c *Client) drain() {
	for c.ctx.Err() == nil {
		batch := c.buf.take(maxEventsPerRequest, maxEventBytes)
		if len(batch) == 0 {
			break
		}
		c.deliver(batch)
		c.buf.settle()
		c.tellLosses()
	}
}

// deliver sends a batch until it has arrived or another try is pointless.
// While the server is away the batch is kept, and the buffer's bound decides
// what is lost.
func (c *Client) deliver(batch [][]byte) {
	for try, faults := 0, 0; ; try++ {
		rejected, err := c.post.post(c.ctx, batch)
		c.count(try, len(batch), rejected, err)
		var refused *RejectedError
		var api *APIError
		switch {
		case err == nil:
			return
		case errors.As(err, &refused):
			c.tell(err, rejected)
			return
		case c.ctx.Err() != nil:
			c.lose(ErrClosed, len(batch))
			return
		case errors.As(err, &api) && api.Status == http.StatusRequestEntityTooLarge && len(batch) > 1:
			c.deliver(batch[:len(batch)/2])
			c.deliver(batch[len(batch)/2:])
			return
		case api != nil && permanent(api.Status):
			c.lose(err, len(batch))
			return
		}
		if api != nil && !overloaded(api.Status) {
			if faults++; faults == maxFaults {
				c.lose(err, len(batch))
				return
			}
		}
		c.pause(err, api, try, len(batch))
		c.tellLosses()
	}
}

// permanent reports whether another try with the same batch must fail again.
func permanent(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status < 500
}

// overloaded reports whether the status says "later" and nothing about the batch.
func overloaded(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// pause waits before the next try: as long as the server asked for, or longer
// from try to try. Closing the client ends a wait of the second sort, once.
func (c *Client) pause(err error, api *APIError, try, events int) {
	wait := backoff(try)
	closing := c.closing
	if api != nil && api.RetryAfter > 0 && (api.Status == http.StatusTooManyRequests || api.Status == http.StatusServiceUnavailable) {
		wait, closing = api.RetryAfter, nil
	}
	select {
	case <-c.closing: // already closing: keep to the waits, Close's context bounds them
		closing = nil
	default:
	}
	c.cfg.Logger.Warn("kept: events not delivered yet", "error", err, "events", events, "retry_in", wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-closing:
	case <-c.ctx.Done():
	}
}

// backoff doubles from try to try; half of it is chance, so that many programs do not come back at once.
func backoff(try int) time.Duration {
	d := min(firstBackoff<<min(try, 10), maxBackoff)
	return d/2 + rand.N(d/2+1)
}

func (c *Client) count(try, sent, rejected int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Requests++
	if try > 0 {
		c.stats.Retries++
	}
	var refused *RejectedError
	if err == nil || errors.As(err, &refused) {
		c.stats.Sent += uint64(sent)
		c.stats.Rejected += uint64(rejected)
		c.stats.LastFlush = c.cfg.Now()
		return
	}
	c.stats.LastError = err.Error()
}

// lose counts events that will never arrive.
func (c *Client) lose(err error, n int) {
	c.mu.Lock()
	c.stats.Dropped += uint64(n)
	c.mu.Unlock()
	c.tell(err, n)
}

// tellLosses reports what the full buffer has dropped since the last time.
func (c *Client) tellLosses() {
	_, lost := c.buf.counts()
	c.mu.Lock()
	n := lost - c.told
	c.told = lost
	c.mu.Unlock()
	if n > 0 {
		c.tell(ErrBufferFull, int(n))
	}
}

// tell calls OnError, or writes to the log when there is none.
func (c *Client) tell(err error, lost int) {
	if c.cfg.OnError == nil {
		c.cfg.Logger.Error("kept: events lost", "error", err, "events", lost)
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.cfg.Logger.Error("kept: OnError panicked", "error", fmt.Sprint(r))
		}
	}()
	c.cfg.OnError(err, lost)
}
