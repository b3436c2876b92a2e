// Package redistest gives a test a Redis server of its own. Kept itself does
// not use Redis; queues that report to it, such as BullMQ, do.
package redistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/testkit/external"
)

// errRetry means that the server ended before it answered, as it does when
// another program took its port.
var errRetry = errors.New("redis-server ended at once")

// URL starts an empty server that keeps nothing on disk and ends with the test,
// and returns its URL with the password. Starting takes some 20 ms.
func URL(t testing.TB) string {
	t.Helper()
	program := external.Require(t, "redis-server", "apt-get install redis-server")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var err error
	for range 3 {
		var url string
		var p *external.Process
		if url, p, err = start(ctx, program); err == nil {
			t.Cleanup(p.Stop)
			return url
		}
		if !errors.Is(err, errRetry) {
			break
		}
	}
	t.Fatalf("redistest: %v", err)
	return ""
}

func start(ctx context.Context, program string) (string, *external.Process, error) {
	dir, err := os.MkdirTemp("", "kept-redis-")
	if err != nil {
		return "", nil, fmt.Errorf("directory for Redis: %w", err)
	}
	port, err := external.FreePort()
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	password := rand.Text()
	// In a file, because anybody may read a command line.
	conf := fmt.Sprintf("bind 127.0.0.1\nport %s\nrequirepass %s\nsave \"\"\nappendonly no\n", port, password)
	file := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	p, err := external.Start(dir, "TERM", nil, program, file)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := ready(ctx, p, "127.0.0.1:"+port, password); err != nil {
		p.Stop()
		return "", nil, err
	}
	return "redis://:" + password + "@127.0.0.1:" + port, p, nil
}

// ready waits until the server takes our password, which only ours does.
func ready(ctx context.Context, p *external.Process, addr, password string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := auth(ctx, addr, password)
		if err == nil {
			return nil
		}
		select {
		case <-p.Ended():
			return fmt.Errorf("%w:\n%s", errRetry, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w\n%s", err, p.Log())
		case <-tick.C:
		}
	}
}

func auth(ctx context.Context, addr, password string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n", password); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(answer[:n])); got != "+OK" {
		return fmt.Errorf("redis-server answers %q", got)
	}
	return nil
}
