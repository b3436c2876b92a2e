package bus

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kept-dev/kept/internal/platform/db"
)

// Postgres carries messages between all instances on one PostgreSQL database with LISTEN and NOTIFY, on one channel and
// one connection per instance. That connection must reach PostgreSQL itself, not a pooler in transaction mode. NOTIFY
// takes turns with every other commit that notifies: say what happened a few times a second, not for each event.
type Postgres struct {
	hub    *hub
	db     *db.DB
	config *pgx.ConnConfig
	logger *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
}

var _ Bus = (*Postgres)(nil)

const (
	channel     = "kept_bus"
	checkEvery  = 30 * time.Second // how long a silently dead connection may go unnoticed
	dialTimeout = 10 * time.Second
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
)

// OpenPostgres connects and listens. After a lost connection it connects again and tells the subscribers that they
// may have missed something.
func OpenPostgres(ctx context.Context, database *db.DB, logger *slog.Logger) (*Postgres, error) {
	config, err := pgx.ParseConfig(database.URL())
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	config.RuntimeParams["application_name"] = "kept bus"
	p := &Postgres{hub: newHub(), db: database, config: config, logger: logger, done: make(chan struct{})}
	conn, err := p.listen(ctx)
	if err != nil {
		return nil, err
	}
	loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	go p.run(loop, conn)
	return p, nil
}

// Publish implements Bus. It sends at once: inside of a transaction use db.Tx.AfterCommit.
func (p *Postgres) Publish(ctx context.Context, topic string, payload []byte) error {
	if err := check(topic, payload); err != nil {
		return err
	}
	if p.hub.isClosed() {
		return ErrClosed
	}
	if _, err := p.db.Writer().ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, encode(topic, payload)); err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	return nil
}

// Subscribe implements Bus.
func (p *Postgres) Subscribe(ctx context.Context, topic string) (*Subscription, error) {
	return p.hub.subscribe(ctx, topic)
}

// Close ends all subscriptions and the connection. Closing twice is harmless.
func (p *Postgres) Close() error {
	p.hub.close()
	p.cancel()
	<-p.done
	return nil
}

func (p *Postgres) run(ctx context.Context, conn *pgx.Conn) {
	defer close(p.done)
	for {
		err := p.receive(ctx, conn)
		conn.Close(context.WithoutCancel(ctx))
		if ctx.Err() != nil {
			return
		}
		p.logger.Warn("the live-update connection was lost; connecting again", "error", err)
		if conn = p.reconnect(ctx); conn == nil {
			return
		}
		p.hub.missAll()
	}
}

// reconnect tries until it listens again, or returns nil when ctx has ended.
func (p *Postgres) reconnect(ctx context.Context) *pgx.Conn {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		conn, err := p.listen(ctx)
		if err == nil {
			return conn
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause)): // spread, so that instances do not come back all at once
		}
	}
}

func (p *Postgres) listen(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return nil, fmt.Errorf("bus: connect: %w", err)
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, errors.Join(fmt.Errorf("bus: listen: %w", err), conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, nil
}

// receive hands out notifications until the connection fails. A quiet connection is checked now and then, because one
// that a firewall forgot would stay quiet for ever.
func (p *Postgres) receive(ctx context.Context, conn *pgx.Conn) error {
	for {
		wait, cancel := context.WithTimeout(ctx, checkEvery)
		n, err := conn.WaitForNotification(wait)
		quiet := wait.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			if topic, payload, ok := decode(n.Payload); ok {
				p.hub.deliver(topic, payload)
			}
		case !quiet:
			return err
		default:
			if err := ping(ctx, conn); err != nil {
				return err
			}
		}
	}
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// encode writes both parts in base64, because a notification is text without NUL bytes.
func encode(topic string, payload []byte) string {
	return base64.RawStdEncoding.EncodeToString([]byte(topic)) + " " + base64.RawStdEncoding.EncodeToString(payload)
}

// decode is not ok for what others sent on our channel.
func decode(text string) (topic string, payload []byte, ok bool) {
	t, b, found := strings.Cut(text, " ")
	if !found {
		return "", nil, false
	}
	name, err := base64.RawStdEncoding.DecodeString(t)
	if err != nil {
		return "", nil, false
	}
	payload, err = base64.RawStdEncoding.DecodeString(b)
	return string(name), payload, err == nil && check(string(name), payload) == nil
}
