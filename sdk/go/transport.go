package kept

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// APIError is an answer other than success.
type APIError struct {
	Status     int           // HTTP status
	Message    string        // the server's own words, or the status text
	RetryAfter time.Duration // what the server asked for; 0 is nothing
}

func (e *APIError) Error() string {
	return fmt.Sprintf("kept: server answered %d: %s", e.Status, e.Message)
}

// RejectedError says that the server kept a batch but refused some of its events.
type RejectedError struct {
	Reasons []string // at most 10, each with the index of its event in the batch
}

func (e *RejectedError) Error() string {
	return "kept: server refused events: " + strings.Join(e.Reasons, "; ")
}

// Errors of OnError beside *APIError and *RejectedError.
var (
	ErrBufferFull = errors.New("kept: buffer full, oldest events dropped")
	ErrClosed     = errors.New("kept: client closed before events could be delivered")
)

// answer is the body of a success. Servers may leave out any part of it.
type answer struct {
	Rejected int `json:"rejected"`
	Errors   []struct {
		Index  int      `json:"index"`
		Errors []string `json:"errors"`
	} `json:"errors"`
}

// poster makes one HTTP request out of a batch.
type poster struct {
	url    string
	header http.Header
	client *http.Client
	limit  time.Duration
	own    bool // the client's connections are ours to close
}

func newPoster(cfg Config) *poster {
	p := &poster{url: cfg.Endpoint + "/api/v1/events", header: headers(cfg), limit: cfg.Timeout}
	var c http.Client
	if cfg.HTTPClient != nil {
		c = *cfg.HTTPClient
	} else {
		// An own transport, so that Close can close its connections.
		p.own = true
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			c.Transport = t.Clone()
		} else {
			c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
		}
	}
	// A followed 301 or 302 is a GET without a body: the events would be gone without an error.
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.client = &c
	return p
}

func headers(cfg Config) http.Header {
	meta, _ := json.Marshal(map[string]any{
		"batchSize":          cfg.BatchSize,
		"flushInterval":      cfg.FlushInterval.Milliseconds(),
		"debug":              false,
		"captureInput":       cfg.Payload != PayloadNone,
		"captureStackTraces": true,
		"redactKeys":         !cfg.Redact.Off,
		"env":                strings.ToValidUTF8(cut(cfg.Env, 64), ""),
		"provider":           "kept-go",
	})
	h := http.Header{}
	h.Set("Authorization", "Bearer "+cfg.APIKey)
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json")
	h.Set("User-Agent", agentName)
	h.Set("X-Jobviz-Agent-Version", agentName)
	h.Set("X-Jobviz-Agent-Meta", asciiOnly(meta))
	return h
}

// asciiOnly escapes what a header must not hold.
func asciiOnly(raw []byte) string {
	var b strings.Builder
	for _, r := range string(raw) {
		switch {
		case r <= '~':
			b.WriteRune(r)
		case r <= 0xFFFF:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// post sends a batch once. A nil error means that the server has it; rejected
// is the number of events in it that the server refused, err tells why.
func (p *poster) post(ctx context.Context, batch [][]byte) (rejected int, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body(batch)))
	if err != nil {
		return 0, err
	}
	req.Header = p.header.Clone()
	res, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return rejections(raw, len(batch)) // the status counts, even if the body broke off
	}
	if err != nil && res.StatusCode >= 500 {
		return 0, err
	}
	return 0, apiError(res, raw)
}

func body(batch [][]byte) []byte {
	size := 16
	for _, e := range batch {
		size += len(e) + 1
	}
	b := append(make([]byte, 0, size), `{"events":[`...)
	for i, e := range batch {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e...)
	}
	return append(b, "]}"...)
}

func rejections(raw []byte, sent int) (int, error) {
	var a answer
	if json.Unmarshal(raw, &a) != nil || a.Rejected <= 0 {
		return 0, nil // no or another body is a plain success
	}
	e := &RejectedError{}
	for _, bad := range a.Errors[:min(len(a.Errors), 10)] {
		e.Reasons = append(e.Reasons, fmt.Sprintf("event %d: %s", bad.Index, cut(strings.Join(bad.Errors, ", "), 200)))
	}
	return min(a.Rejected, sent), e
}

func apiError(res *http.Response, raw []byte) *APIError {
	e := &APIError{Status: res.StatusCode, Message: http.StatusText(res.StatusCode), RetryAfter: retryAfter(res.Header.Get("Retry-After"))}
	var b struct {
		Error  string `json:"error"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(raw, &b) == nil {
		e.Message = cut(or(or(b.Error, b.Detail), e.Message), 300)
	}
	if to := res.Header.Get("Location"); to != "" && res.StatusCode < 400 {
		e.Message = "redirects are not followed; set the endpoint to where it points: " + cut(to, 200)
	}
	return e
}

const maxRetryAfter = time.Minute

// retryAfter reads whole seconds or an HTTP date; nonsense and the past are 0.
func retryAfter(s string) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		d = time.Duration(min(n, 3600)) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = time.Until(t)
	}
	return min(max(d, 0), maxRetryAfter)
}
