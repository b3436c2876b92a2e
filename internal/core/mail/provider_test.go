package mail

import (
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"regexp"
	"strings"
	"testing"
	"time"
)

// provider is an HTTP server that checks each request and answers what the test wants.
type provider struct {
	*httptest.Server
	status int
	answer string
	got    []string // the mails that it took
}

func newProvider(t *testing.T, read func(r *http.Request) (mail string, ok bool)) *provider {
	p := &provider{status: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mail, ok := read(r)
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		p.got = append(p.got, mail)
		w.Header().Set("X-Amzn-Errortype", "MessageRejected:http://internal.example/")
		w.WriteHeader(p.status)
		io.WriteString(w, p.answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func providerMessage() Message {
	m := testMessage()
	m.Unsubscribe = "https://kept.example/mail/unsubscribe/abc"
	return m
}

// checkHanded checks that a provider was handed our mail, whole.
func checkHanded(t *testing.T, text string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	for name, want := range map[string]string{
		"To": "<ann@example.org>", "List-Unsubscribe": "<https://kept.example/mail/unsubscribe/abc>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"Auto-Submitted": "auto-generated",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := m.Header.Get("Message-ID"); !strings.Contains(got, testMessage().ID) {
		t.Errorf("Message-ID %q", got)
	}
}

// checkFaults sends against each status and compares what is said about another try.
func checkFaults(t *testing.T, p *provider, s Sender, permanent map[int]bool) {
	t.Helper()
	for status, want := range permanent {
		p.status = status
		var f *Fault
		if _, err := s.Send(t.Context(), providerMessage()); !errors.As(err, &f) || f.Permanent != want || strings.Contains(f.Class, "@") {
			t.Errorf("%d: %v, want permanent %v", status, err, want)
		}
	}
	p.Close()
	var f *Fault
	if _, err := s.Send(t.Context(), providerMessage()); !errors.As(err, &f) || f.Permanent || f.Class != "no connection" {
		t.Errorf("a provider that is away: %v", err)
	}
}

func TestMailgunAdapter(t *testing.T) {
	t.Parallel()
	const key = "key-secret"
	var fields map[string][]string
	p := newProvider(t, func(r *http.Request) (string, bool) {
		user, password, _ := r.BasicAuth()
		if r.Method != "POST" || r.URL.Path != "/v3/mg.example.org/messages.mime" || user != "api" || password != key || r.ParseMultipartForm(1<<20) != nil {
			return "", false
		}
		fields = r.MultipartForm.Value
		f, _, err := r.FormFile("message")
		if err != nil {
			return "", false
		}
		b, err := io.ReadAll(f)
		return string(b), err == nil
	})
	p.answer = `{"id":"<20260301.1@mg.example.org>","message":"Queued. Thank you."}`
	g, err := NewMailgun(MailgunConfig{Domain: "mg.example.org", Key: key, base: p.URL})
	if err != nil {
		t.Fatal(err)
	}
	id, err := g.Send(t.Context(), providerMessage())
	if err != nil || id != "20260301.1@mg.example.org" || len(p.got) != 1 {
		t.Fatalf("%q, %v", id, err)
	}
	checkHanded(t, p.got[0])
	if fields["to"][0] != "ann@example.org" || fields["o:tracking"][0] != "no" || fields["o:tracking-clicks"][0] != "no" || fields["o:tracking-opens"][0] != "no" {
		t.Errorf("%v", fields)
	}
	checkFaults(t, p, g, map[int]bool{400: true, 401: false, 403: false, 404: false, 413: true, 429: false, 500: false, 302: false})
	for _, bad := range []MailgunConfig{{Domain: "d"}, {Key: "k"}, {Domain: "d", Key: "k", Region: "mars"}, {Domain: "d/../x", Key: "k"}} {
		if _, err := NewMailgun(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKID/20260301/eu-central-1/ses/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`)

// recompute is the signature as the documentation tells to make it, from what arrived: a second implementation, so that
// the first is not compared with itself.
func recompute(r *http.Request, body, secret, signed string) string {
	text := r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n"
	for _, name := range strings.Split(signed, ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		text += name + ":" + value + "\n"
	}
	text += "\n" + signed + "\n" + hexSum(body)
	text = "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n20260301/eu-central-1/ses/aws4_request\n" + hexSum(text)
	key := []byte("AWS4" + secret)
	for _, part := range []string{"20260301", "eu-central-1", "ses", "aws4_request", text} {
		key = hmacSum(key, part)
	}
	return hex.EncodeToString(key)
}

func TestSESSignature(t *testing.T) {
	t.Parallel()
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	p := newProvider(t, func(r *http.Request) (string, bool) {
		body, _ := io.ReadAll(r.Body)
		parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
		if parts == nil || !strings.Contains(";"+parts[1]+";", ";host;") || !strings.Contains(parts[1], "content-type") || !strings.Contains(parts[1], "x-amz-date") ||
			!hmac.Equal([]byte(parts[2]), []byte(recompute(r, string(body), secret, parts[1]))) {
			return "", false
		}
		var in sesRequest
		if r.Method != "POST" || r.URL.Path != "/v2/email/outbound-emails" || json.Unmarshal(body, &in) != nil || len(in.Destination.ToAddresses) != 1 {
			return "", false
		}
		return string(in.Content.Raw.Data), in.Destination.ToAddresses[0] == "ann@example.org"
	})
	p.answer = `{"MessageId":"0100-abc"}`
	cfg := SESConfig{Region: "eu-central-1", AccessKey: "AKID", SecretKey: secret, SessionToken: "temporary", base: p.URL,
		Clock: func() time.Time { return start }}
	s, err := NewSES(cfg)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Send(t.Context(), providerMessage())
	if err != nil || id != "0100-abc" || len(p.got) != 1 {
		t.Fatalf("%q, %v", id, err)
	}
	checkHanded(t, p.got[0])
	cfg.SecretKey = "wrong"
	wrong, err := NewSES(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var f *Fault
	if _, err := wrong.Send(t.Context(), providerMessage()); !errors.As(err, &f) || f.Permanent {
		t.Errorf("a wrong secret: %v", err)
	}
	checkFaults(t, p, s, map[int]bool{400: true, 403: false, 429: false, 500: false, 503: false})
	for _, bad := range []SESConfig{{Region: "mars", AccessKey: "a", SecretKey: "b"}, {Region: "eu-central-1.evil.example/#", AccessKey: "a", SecretKey: "b"}, {Region: "eu-central-1"}} {
		if _, err := NewSES(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// TestProvidersAreNotFollowed: a key and a mail do not travel on to where a provider, or somebody in its place, points.
func TestProvidersAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newProvider(t, func(*http.Request) (string, bool) { return "", true })
	for _, status := range []int{301, 302, 307, 308} {
		srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		g, err := NewMailgun(MailgunConfig{Domain: "d.example", Key: "k", base: srv.URL})
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSES(SESConfig{Region: "eu-central-1", AccessKey: "a", SecretKey: "b", base: srv.URL})
		if err != nil {
			t.Fatal(err)
		}
		for _, sender := range []Sender{g, s} {
			if _, err := sender.Send(t.Context(), providerMessage()); err == nil {
				t.Errorf("%d is followed", status)
			}
		}
		srv.Close()
	}
	if len(elsewhere.got) > 0 {
		t.Errorf("%d requests went elsewhere", len(elsewhere.got))
	}
}

func TestSESFaultsAboutTheAccount(t *testing.T) {
	t.Parallel()
	for name, permanent := range map[string]bool{"MessageRejected": true, "BadRequestException": true, "SendingPausedException": false,
		"MailFromDomainNotVerifiedException": false, "LimitExceededException": false} {
		f := sesFault(400, http.Header{}, []byte(`{"__type":"com.amazonaws.ses#`+name+`","message":"ann@example.org"}`))
		if f.Permanent != permanent || f.Class != "refused 400 "+name {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := sesFault(400, http.Header{}, []byte(`{"__type":"ann@example.org"}`)); strings.Contains(f.Class, "@") {
		t.Errorf("an address in the class: %q", f.Class)
	}
}
