package testkit

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

const answerWithin = 30 * time.Second

// Browser sends requests to one server and keeps its cookies. It does not follow redirects by itself.
type Browser struct {
	t      testing.TB
	base   string
	client *http.Client
}

// NewBrowser makes a browser without cookies.
func NewBrowser(t testing.TB, base string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{t: t, base: base, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: answerWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Response is an answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   string

	browser *Browser
	url     *url.URL
}

// Do sends a request as it is, with the browser's cookies. A path stands for an address on the server.
func (b *Browser) Do(r *http.Request) *Response {
	b.t.Helper()
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return &Response{Status: res.StatusCode, Header: res.Header, Body: string(body), browser: b, url: r.URL}
}

// Request makes a request to a path of the server; each header is "Name: value".
func (b *Browser) Request(method, path string, body io.Reader, headers ...string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// Get opens a page.
func (b *Browser) Get(path string, headers ...string) *Response {
	b.t.Helper()
	return b.Do(b.Request(http.MethodGet, path, nil, append([]string{"Accept: text/html"}, headers...)...))
}

// PostForm sends a form the way a browser does on a page of the same site.
func (b *Browser) PostForm(path string, form url.Values, headers ...string) *Response {
	b.t.Helper()
	all := append([]string{"Accept: text/html", "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin"}, headers...)
	return b.Do(b.Request(http.MethodPost, path, strings.NewReader(form.Encode()), all...))
}

// JSON sends v (nil: nothing) to the API, with a key unless it is empty.
func (b *Browser) JSON(method, path, key string, v any) *Response {
	b.t.Helper()
	var body io.Reader
	headers := []string{"Accept: application/json"}
	if v != nil {
		text, err := json.Marshal(v)
		if err != nil {
			b.t.Fatal(err)
		}
		body, headers = bytes.NewReader(text), append(headers, "Content-Type: application/json")
	}
	if key != "" {
		headers = append(headers, "Authorization: Bearer "+key)
	}
	return b.Do(b.Request(method, path, body, headers...))
}

// SetCookie puts a cookie into the browser, as an attacker might.
func (b *Browser) SetCookie(u *url.URL, c *http.Cookie) {
	b.client.Jar.SetCookies(u, []*http.Cookie{c})
}

// Cookies are those that the browser would send to a page.
func (b *Browser) Cookies() []*http.Cookie {
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.client.Jar.Cookies(u)
}

// Want ends the test unless the answer has the status.
func (r *Response) Want(status int) *Response {
	r.browser.t.Helper()
	if r.Status != status {
		r.browser.t.Fatalf("%s: status %d, want %d\n%.2000s", r.url.Path, r.Status, status, r.Body)
	}
	return r
}

// Has fails the test for each text that is not in the body.
func (r *Response) Has(texts ...string) *Response {
	r.browser.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.Body, text) {
			r.browser.t.Errorf("%s: no %q in\n%.4000s", r.url.Path, text, r.Body)
		}
	}
	return r
}

// Lacks fails the test for each text that is in the body.
func (r *Response) Lacks(texts ...string) *Response {
	r.browser.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.Body, text) {
			r.browser.t.Errorf("%s: there is a %q in\n%.4000s", r.url.Path, text, r.Body)
		}
	}
	return r
}

// Decode reads the body as JSON into v.
func (r *Response) Decode(v any) *Response {
	r.browser.t.Helper()
	if err := json.Unmarshal([]byte(r.Body), v); err != nil {
		r.browser.t.Fatalf("%s: %v in\n%.2000s", r.url.Path, err, r.Body)
	}
	return r
}

// Follow opens the page that the answer redirects to.
func (r *Response) Follow() *Response {
	r.browser.t.Helper()
	target, err := r.url.Parse(r.Header.Get("Location"))
	if err != nil || r.Header.Get("Location") == "" {
		r.browser.t.Fatalf("%s: status %d leads nowhere: %v", r.url.Path, r.Status, err)
	}
	return r.browser.Get(target.RequestURI())
}
