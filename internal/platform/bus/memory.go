package bus

import (
	"bytes"
	"context"
)

// Memory is the bus of one process.
type Memory struct{ hub *hub }

var _ Bus = (*Memory)(nil)

// NewMemory makes a bus.
func NewMemory() *Memory { return &Memory{newHub()} }

// Publish implements Bus.
func (m *Memory) Publish(ctx context.Context, topic string, payload []byte) error {
	if err := check(topic, payload); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.hub.isClosed() {
		return ErrClosed
	}
	m.hub.deliver(topic, bytes.Clone(payload))
	return nil
}

// Subscribe implements Bus.
func (m *Memory) Subscribe(ctx context.Context, topic string) (*Subscription, error) {
	return m.hub.subscribe(ctx, topic)
}

// Close ends all subscriptions. Closing twice is harmless.
func (m *Memory) Close() error {
	m.hub.close()
	return nil
}
