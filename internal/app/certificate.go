package app

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how often the file is looked at: a renewed certificate is in use that much later at most.
const certificateAge = time.Minute

// certificate is a certificate from files, read again when they have changed, because certificates are renewed every few
// weeks and nobody restarts a server for that.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   time.Time // the file's own
	checked time.Time
}

func (c *certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	c.checked = time.Now()
	if c.current != nil && info.ModTime().Equal(c.stamp) {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.stamp = &cert, info.ModTime()
	return nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) > certificateAge {
		if err := c.load(); err != nil { // half of a renewal: the old one serves on
			c.checked = time.Now()
			c.logger.Error("the renewed certificate could not be read", "error", err)
		}
	}
	return c.current, nil
}
