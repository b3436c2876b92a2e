package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/alert"

	"github.com/kept-dev/kept/internal/platform/egress"
)

// shot is one attempt to tell a channel about a group of alerts.
type shot struct {
	m      *Module
	c      Channel
	k      kind
	msg    *message
	alerts []*alert.Alert
	labels map[string]string // that the group shares by its route
	group  string            // Alertmanager's key of the group
	key    string            // the group, as 64 hexadecimal digits: the same for all that happens to it
	notice string            // this notification, the same for all attempts at it
	recv   string            // the receiver's name
	now    time.Time
	thread *thread // what was posted about the group before; nil: nothing

	status  int      // of the last answer
	answer  string   // what it said, for a test
	handed  bool     // taken over by a queue of ours, which will try again by itself
	partial string   // what did not work although the rest did
	private []string // more that must not be shown: addresses of browsers, tokens that were made for one request
}

// failure is why an attempt did not work.
type failure struct {
	text  string        // for people: no addresses, no tokens
	retry bool          // another try makes sense
	after time.Duration // how long the provider wants to be left alone; 0: it did not say
}

func (f *failure) Error() string { return f.text }

// forGood is a failure that no other try would mend.
func forGood(format string, args ...any) error { return &failure{text: fmt.Sprintf(format, args...)} }

const (
	maxAnswerText = 300
	maxRetryAfter = 5 * time.Minute // longer waits are for the next notification
)

// post sends JSON and returns the answer's body. Everything but 2xx is a failure.
func (s *shot) post(ctx context.Context, address string, header map[string]string, body any) ([]byte, error) {
	return s.do(ctx, http.MethodPost, address, header, body)
}

func (s *shot) do(ctx context.Context, method, address string, header map[string]string, body any) ([]byte, error) {
	raw, ok := body.([]byte)
	if !ok {
		var err error
		if raw, err = marshal(body); err != nil {
			return nil, forGood("the message could not be written")
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(raw))
	if err != nil {
		return nil, forGood("the address cannot be used")
	}
	if !s.declared(r.URL) {
		s.m.refused.Add(1)
		s.m.d.Logger.Error("a channel was about to send to a host that it does not name", "channel", s.c.ID, "kind", s.k.Key)
		return nil, forGood("it would have gone to a host that the channel does not name")
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	res, err := s.m.d.Out.HTTP().Do(r)
	if err != nil {
		s.status, s.answer = 0, ""
		return nil, &failure{text: egress.Reason(err), retry: !errors.Is(err, egress.ErrPrivate)}
	}
	defer res.Body.Close()
	return s.read(res)
}

// marshal writes JSON as it is, without the escapes that HTML would need.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func (s *shot) read(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(res.Body)
	s.status, s.answer = res.StatusCode, s.quote(body)
	switch {
	case res.StatusCode/100 == 2 && err != nil:
		return nil, nil // it has taken the message, whatever it wanted to say
	case res.StatusCode/100 == 2:
		return body, nil
	case res.StatusCode/100 == 3:
		return nil, forGood("HTTP %d: redirects are not followed; enter the address that it leads to", res.StatusCode)
	}
	f := &failure{text: fmt.Sprintf("HTTP %d", res.StatusCode), after: retryAfter(res.Header.Get("Retry-After"), s.now)}
	if s.answer != "" {
		f.text += ": " + s.answer
	}
	f.retry = res.StatusCode >= 500 || slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, res.StatusCode)
	return body, f
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// quote is the beginning of an answer without what must not be shown: a provider may repeat a token or an address.
func (s *shot) quote(body []byte) string {
	if len(body) > 16<<10 {
		body = body[:16<<10]
	}
	return clip(s.hide(clean(string(body), len(body)+1)), maxAnswerText)
}

// hide takes a channel's secrets out of a text, and what they are made of.
func (s *shot) hide(text string) string {
	var secrets []string
	add := func(v string) {
		if len(v) >= 6 {
			secrets = append(secrets, v, url.QueryEscape(v), url.PathEscape(v))
		}
	}
	for name, v := range s.c.set {
		if f, typed := s.k.field(name); typed && !f.Secret {
			continue
		}
		add(v)
		if u, err := url.Parse(v); err == nil && u.Host != "" {
			add(u.RequestURI())
			for _, part := range strings.FieldsFunc(u.RequestURI(), func(r rune) bool { return strings.ContainsRune("/?&=", r) }) {
				if len(part) >= 8 {
					add(part)
				}
			}
			if u.User != nil {
				pass, _ := u.User.Password()
				add(pass)
			}
		}
	}
	for _, v := range s.private {
		add(v)
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // the longest first: one may hold another
	for _, v := range secrets {
		text = strings.ReplaceAll(text, v, "[hidden]")
	}
	return text
}

// base is where the provider is, or where a test says that it is.
func (s *shot) base() string {
	if other := s.m.hosts[s.k.Key]; other != "" {
		return other
	}
	return s.k.base(s.c.set)
}

// asFailure makes a failure of any error.
func asFailure(err error) *failure {
	var f *failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &failure{text: "it was cut off on our side", retry: true}
	}
	return &failure{text: "it failed on our side", retry: true}
}
