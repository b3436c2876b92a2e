package httpx

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	streamIdle  = 20 * time.Second // a comment is sent that often, so that proxies keep the stream and dead clients show
	streamWrite = 15 * time.Second // a client that takes longer to read an event is dropped
)

// Stream answers with server-sent events until f returns. The route must have the class RateLive. When the client
// leaves, or the server stops, r's context ends and send fails; f returns then, and whatever it returns is no error. The
// event's type may be empty.
func Stream(w http.ResponseWriter, r *http.Request, f func(send func(event string, data []byte) error) error) error {
	s := &stream{w: w, rc: http.NewResponseController(w)}
	if err := supported(s.rc.SetReadDeadline(time.Time{})); err != nil { // the server's own would end the stream
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold the events back
	w.WriteHeader(http.StatusOK)
	if s.write([]byte(": open\n\n")) != nil {
		return nil
	}
	stop := s.keepAlive(r.Context())
	defer stop()
	err := f(func(event string, data []byte) error {
		if err := r.Context().Err(); err != nil {
			return err
		}
		return s.write(encodeEvent(event, data))
	})
	if r.Context().Err() != nil || s.broken() {
		return nil
	}
	return err
}

type stream struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	mu  sync.Mutex
	err error // the first failed write
}

func (s *stream) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = s.tryWrite(b)
	}
	return s.err
}

func (s *stream) tryWrite(b []byte) error {
	if err := supported(s.rc.SetWriteDeadline(time.Now().Add(streamWrite))); err != nil {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return supported(s.rc.Flush())
}

func (s *stream) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// keepAlive writes comments until stop, which waits for the last of them.
func (s *stream) keepAlive(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(streamIdle)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = s.write([]byte(": still here\n\n")) // kept in s.err
			}
		}
	}()
	return func() { cancel(); <-done }
}

// supported forgives a writer that has no deadlines or flushing, such as a test's.
func supported(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func encodeEvent(event string, data []byte) []byte {
	var b bytes.Buffer
	if event != "" {
		b.WriteString("event: " + strings.NewReplacer("\n", " ", "\r", " ").Replace(event) + "\n")
	}
	// The format ends lines at CR as well, so a CR in the data would begin a field of its own.
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
