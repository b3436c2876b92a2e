// Package send empties the agent's buffer into a server: one request at a time, oldest first, until each was stored or
// refused for good. It follows the remote write specification in what it sends and in when it tries again.
package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/klauspost/compress/s2"

	"github.com/kept-dev/kept/internal/agent/spool"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// How long a try waits for the one before.
const (
	firstDelay  = time.Second
	maxDelay    = 48 * time.Second // and a quarter more at most, by chance
	refusedWait = 5 * time.Minute  // when the key or the address is wrong
	maxAfter    = time.Hour        // the longest Retry-After that is followed
	timeout     = 30 * time.Second
)

// Sender sends what a Spool has.
type Sender struct {
	URL       string
	Key       string // a bearer token; "" for none
	UserAgent string
	Client    *http.Client // must not follow redirects
	Spool     *spool.Spool
	Log       *slog.Logger

	version1 bool   // the server does not know version 2
	said     string // the last problem that was logged, to log it once

	away atomic.Bool
}

// Away tells whether the last try failed and there will be another: waiting for the server now would take long.
func (s *Sender) Away() bool { return s.away.Load() }

// outcome is what is to be done after a try.
type outcome struct {
	done    bool          // with this record, for better or worse
	stored  bool          // by the server
	again   bool          // at once: in another version
	wait    time.Duration // at least, if not done
	problem string        // what to log; once as long as it stays the same
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	delay := firstDelay
	for ctx.Err() == nil {
		record, err := s.Spool.Next()
		if errors.Is(err, io.EOF) {
			select {
			case <-s.Spool.News():
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			s.Log.Error("the buffer cannot be read", "error", err)
			pause(ctx, maxDelay)
			continue
		}
		o := s.try(ctx, record)
		s.report(o)
		s.away.Store(!o.done && !o.again)
		switch {
		case ctx.Err() != nil && !o.done:
			return
		case o.done:
			delay = firstDelay
			if err := s.Spool.Done(); err != nil {
				s.Log.Error("the position in the buffer cannot be kept: a restart may send samples twice", "error", err)
			}
		case !o.again:
			pause(ctx, max(o.wait, withJitter(delay)))
			delay = min(2*delay, maxDelay)
		}
	}
}

// withJitter keeps agents that lost the same server from coming back all at once.
func withJitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/4))
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *Sender) report(o outcome) {
	switch {
	case o.problem == "" && s.said != "":
		s.Log.Info("the server takes samples again")
	case o.problem != "" && (o.problem != s.said || o.done && !o.stored):
		s.Log.Error(o.problem)
	}
	s.said = o.problem
}

// try sends a record once.
func (s *Sender) try(ctx context.Context, record spool.Record) outcome {
	body, err := s.encode(record.Payload)
	if err != nil {
		return outcome{done: true, problem: "a record of the buffer is damaged and is left out"}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return outcome{wait: refusedWait, problem: "the address of the server is none: " + clean(err.Error())}
	}
	s.head(request.Header)
	answer, err := s.Client.Do(request)
	if err != nil {
		return outcome{problem: "the server cannot be reached; samples wait on disk: " + clean(err.Error())}
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 512))
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return s.judge(answer, clean(string(text)), record.Samples)
}

func (s *Sender) encode(payload []byte) ([]byte, error) {
	if !s.version1 {
		return payload, nil
	}
	b, err := s2.Decode(nil, payload)
	if err != nil {
		return nil, err
	}
	r, err := remotewrite.Read(b)
	if err != nil {
		return nil, err
	}
	return s2.EncodeSnappy(nil, r.AppendV1(nil)), nil
}

func (s *Sender) head(h http.Header) {
	h.Set("Content-Encoding", remotewrite.ContentEncoding)
	h.Set("Content-Type", remotewrite.ContentType)
	h.Set(remotewrite.VersionHeader, remotewrite.Version)
	if s.version1 {
		h.Set("Content-Type", remotewrite.ContentTypeV1)
		h.Set(remotewrite.VersionHeader, remotewrite.VersionV1)
	}
	h.Set("User-Agent", s.UserAgent)
	if s.Key != "" {
		h.Set("Authorization", "Bearer "+s.Key)
	}
}

// judge decides by the status what becomes of the record.
func (s *Sender) judge(answer *http.Response, text string, samples int) outcome {
	code := answer.StatusCode
	switch {
	case code >= 200 && code < 300:
		return s.accepted(answer, samples)
	case code == http.StatusUnsupportedMediaType && !s.version1:
		s.version1 = true
		s.Log.Warn("the server does not know remote write 2.0: version 1 is used until the agent starts again")
		return outcome{again: true}
	case code == http.StatusTooManyRequests, code >= 500:
		return outcome{wait: retryAfter(answer.Header), problem: fmt.Sprintf("the server answers %d; samples wait on disk: %s", code, text)}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		// This is about the agent, not about the samples: they wait until it has a key that is good.
		return outcome{wait: refusedWait, problem: fmt.Sprintf("the server refuses this agent's key (%d); samples wait on disk: %s", code, text)}
	case code >= 300 && code < 400:
		return outcome{wait: refusedWait, problem: fmt.Sprintf("the server is elsewhere (%d): set the address to %s", code, clean(answer.Header.Get("Location")))}
	}
	written, known := number(answer.Header.Get(remotewrite.SamplesWritten))
	if !known {
		written = 0
	}
	return outcome{done: true, problem: fmt.Sprintf("the server stored %d of %d samples and refused the others for good (%d): %s", written, samples, code, text)}
}

// accepted looks at what the server says it stored: one that does not say may have taken nothing.
func (s *Sender) accepted(answer *http.Response, samples int) outcome {
	o := outcome{done: true, stored: true}
	if s.version1 {
		return o
	}
	switch written, known := number(answer.Header.Get(remotewrite.SamplesWritten)); {
	case !known:
		o.problem = "the server does not say that it stored anything: does it know remote write 2.0?"
	case written < samples:
		o.problem = fmt.Sprintf("the server stored %d of %d samples", written, samples)
	}
	return o
}

func number(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// retryAfter reads seconds or a date.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, ok := number(text); ok {
		return min(time.Duration(min(seconds, 1<<20))*time.Second, maxAfter)
	}
	if t, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(t), 0), maxAfter)
	}
	return 0
}

// clean makes a text from elsewhere fit for one line of the log.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	text = strings.TrimSpace(text)
	return text[:min(len(text), 300)]
}
