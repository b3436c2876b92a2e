package kept

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Client sends events to a server. It may be used by many goroutines at once.
// A nil *Client is a client that does nothing, so a program needs no second
// code path for when reporting is not set up.
type Client struct {
	cfg  Config
	enc  encoder
	buf  *buffer
	post *poster

	ctx     context.Context // ends when Close gives up
	cancel  context.CancelFunc
	closing chan struct{}
	once    sync.Once
	done    chan struct{} // the sender has returned

	mu    sync.Mutex
	stats Stats
	told  uint64 // losses of the buffer that OnError knows about
}

// Stats are counts since the client was made.
type Stats struct {
	Sent      uint64    // events in requests that the server answered with success
	Rejected  uint64    // of those, events that the server refused
	Dropped   uint64    // events that will never arrive: buffer full, permanent error, or closed
	Requests  uint64    // HTTP requests, retries included
	Retries   uint64    // requests that were another try
	Buffered  int       // events on their way
	LastFlush time.Time // when the last request succeeded
	LastError string    // of the last request that did not
}

// New makes a client and starts its sender. Close it to deliver what is left.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		cfg: cfg,
		enc: encoder{
			env: cfg.Env, policy: cfg.Payload, maxValue: cfg.MaxPayloadBytes, maxText: cfg.MaxTextBytes,
			redact: newRedactor(cfg.Redact), now: cfg.Now,
		},
		buf:     newBuffer(cfg.BufferSize, cfg.BufferBytes, cfg.BatchSize),
		post:    newPoster(cfg),
		ctx:     ctx,
		cancel:  cancel,
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	go c.run()
	return c, nil
}

// Send puts an event into the buffer. Its data is encoded and redacted before
// Send returns, so the caller may change it afterwards.
func (c *Client) Send(e Event) {
	if c == nil {
		return
	}
	c.buf.push(c.enc.event(e))
}

// Flush waits until everything sent so far was delivered or given up.
// The only error is that of ctx.
func (c *Client) Flush(ctx context.Context) error {
	if c == nil {
		return nil
	}
	return c.buf.wait(ctx)
}

// Close delivers what is left and stops the client. When ctx ends first, the
// rest is dropped and the error says how much. Later events are dropped, too.
// Closing twice is safe.
func (c *Client) Close(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.once.Do(func() {
		c.buf.close()
		close(c.closing)
	})
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	lost, _ := c.buf.counts()
	c.cancel()
	select { // the sender ends at once, unless Config.HTTPClient or Config.OnError does not return
	case <-c.done:
	case <-time.After(100 * time.Millisecond):
	}
	if lost == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d lost: %w", ErrClosed, lost, context.Cause(ctx))
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	c.mu.Lock()
	s := c.stats
	c.mu.Unlock()
	pending, lost := c.buf.counts()
	s.Buffered = pending
	s.Dropped += lost
	return s
}

// Deployment reports that a version of the program went live; the server shows
// it as a mark on its charts. commit and description may be empty.
func (c *Client) Deployment(version, commit, description string) {
	if c == nil {
		return
	}
	c.Send(Event{
		Kind: Deployed, JobID: "deploy-" + newID(), JobName: "deployment", Queue: "__system",
		Data: Data{Version: version, CommitHash: commit, Description: description},
	})
}
