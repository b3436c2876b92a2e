package httpx

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

func failing(path string, err error) Route {
	r := Route{Method: "GET", Path: path, Access: Public, Rate: RatePage, Handler: func(http.ResponseWriter, *http.Request) error { return err }}
	if strings.HasPrefix(path, "/api/") {
		r.API = &Operation{Summary: "Fails.", Responses: map[int]any{200: nil}}
	}
	return r
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[kernel.Code]int{
		kernel.Malformed: 400, kernel.Unauthenticated: 401, kernel.PaymentRequired: 402, kernel.Forbidden: 403, kernel.ProofNeeded: 403,
		kernel.NotFound: 404, kernel.Conflict: 409, kernel.TooLarge: 413, kernel.Invalid: 422, kernel.Limited: 429,
		kernel.Internal: 500, kernel.Unavailable: 503,
	} {
		w := setup(t, nil, failing("/x", kernel.Errorf(code, "No."))).do("GET", "/x", "")
		if w.Code != want {
			t.Errorf("%s is %d, want %d", code, w.Code, want)
		}
		if retry := w.Header().Get("Retry-After"); (retry != "") != (want == 429 || want == 503) {
			t.Errorf("%s has Retry-After %q", code, retry)
		}
	}
}

func TestErrorShapes(t *testing.T) {
	t.Parallel()
	err := &kernel.Error{Code: kernel.Invalid, Safe: "Choose a name.", Fields: map[string]string{"name": "Choose a name."}, Cause: errors.New("secret cause")}
	own := failing("/own", err)
	own.Fail = func(w http.ResponseWriter, status int, e *kernel.Error, _ string) {
		_ = respond.JSON(w, status, map[string]string{"error": e.Safe})
	}
	f := setup(t, nil, failing("/x", err), failing("/api/v1/x", err), own)

	for _, w := range []*httptest.ResponseRecorder{
		f.do("GET", "/api/v1/x", ""), f.do("GET", "/api/v1/x", "", "Accept: text/html"), f.do("GET", "/x", "", "Accept: application/json"),
	} {
		var p respond.ProblemDetails
		if json.Unmarshal(w.Body.Bytes(), &p) != nil || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%s: %s", w.Header().Get("Content-Type"), w.Body)
		}
		if p.Status != 422 || p.Code != kernel.Invalid || p.Detail != "Choose a name." || p.Fields["name"] == "" || p.RequestID != w.Header().Get("X-Request-Id") {
			t.Errorf("problem is %+v", p)
		}
	}
	if w := f.do("GET", "/prometheus/api/v1/nothing", ""); w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("a place that an API does not have: %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	for _, accept := range []string{"text/html,application/json;q=0.9", "*/*"} {
		if w := f.do("GET", "/x", "", "Accept: "+accept); !strings.HasPrefix(w.Body.String(), "<h1>Choose a name.") {
			t.Errorf("%s gets %s", accept, w.Body)
		}
	}
	w := f.do("GET", "/own", "")
	if w.Code != 422 || w.Body.String() != "{\"error\":\"Choose a name.\"}\n" {
		t.Errorf("own shape: %d %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "secret cause") {
		t.Error("the cause is shown")
	}
}

func TestInternalErrorIsLoggedOnceAndHidden(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, failing("/x", fmt.Errorf("reading: %w", errors.New("disk on fire"))), failing("/y", kernel.Errorf(kernel.NotFound, "Gone.")))
	w := f.do("GET", "/x", "")
	wantStatus(t, w, http.StatusInternalServerError)
	if strings.Contains(w.Body.String(), "disk") || !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("the page says %s", w.Body)
	}
	f.do("GET", "/y", "")
	log := f.output.String()
	if strings.Count(log, "disk on fire") != 1 || strings.Count(log, "\n") != 1 || !strings.Contains(log, w.Header().Get("X-Request-Id")) {
		t.Errorf("the log says %s", log)
	}
}

func TestPanicBecomesA500(t *testing.T) {
	t.Parallel()
	panics := failing("/x", nil)
	panics.Handler = func(http.ResponseWriter, *http.Request) error { panic("boom") }
	f := setup(t, nil, panics, page)
	w := f.do("GET", "/x", "")
	wantStatus(t, w, http.StatusInternalServerError)
	if !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("no request id: %s", w.Body)
	}
	if log := f.output.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "fail_test.go") {
		t.Errorf("no stack in the log: %s", log)
	}
	wantStatus(t, f.do("GET", "/page", ""), http.StatusOK)
	if e := <-f.log.entries; e.Status != 500 {
		t.Errorf("logged as %d", e.Status)
	}
}

// A small answer waits in the compressor's buffer, a large one has left: neither may look whole after a panic.
func TestPanicAfterTheAnswerWasBegunCutsItOff(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 100_000} {
		half := page
		half.Handler = func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, strings.Repeat("x", size))
			panic("boom")
		}
		f := setup(t, nil, half)
		s := httptest.NewServer(f)
		res, err := http.Get(s.URL + "/page")
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Errorf("%d bytes: the client takes the half for the whole", size)
		}
		s.Close()
	}
}

func TestClientThatLeftIsNoError(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	waits := failing("/x", nil)
	waits.Handler = func(_ http.ResponseWriter, r *http.Request) error {
		close(entered)
		<-r.Context().Done()
		return fmt.Errorf("query: %w", r.Context().Err())
	}
	f := setup(t, nil, waits)
	s := httptest.NewServer(f)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+"/x", nil)
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Fatal("answered although the client left")
	}
	if e := <-f.log.entries; e.Status != statusClientLeft {
		t.Errorf("logged as %d", e.Status)
	}
	if log := f.output.String(); log != "" {
		t.Errorf("the log says %s", log)
	}
}

func TestSlowHandlerIsCutOff(t *testing.T) {
	t.Parallel()
	slow := failing("/x", nil)
	slow.Timeout = time.Millisecond
	slow.Handler = func(_ http.ResponseWriter, r *http.Request) error {
		<-r.Context().Done()
		return r.Context().Err()
	}
	wantStatus(t, setup(t, nil, slow).do("GET", "/x", ""), http.StatusServiceUnavailable)
}

func TestStream(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	live := Route{Method: "GET", Path: "/live", Access: Public, Rate: RateLive, Handler: func(w http.ResponseWriter, r *http.Request) error {
		return Stream(w, r, func(send func(string, []byte) error) error {
			if err := send("jobs", []byte("one\r\ntwo\nthree\rid: 7")); err != nil {
				return err
			}
			<-r.Context().Done()
			ended <- send("", []byte("late"))
			return errors.New("nobody cares")
		})
	}}
	f := setup(t, nil, live)
	s := httptest.NewServer(f)
	defer s.Close()
	res, err := http.Get(s.URL + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type: %s", got)
	}
	var lines []string
	for in := bufio.NewScanner(res.Body); len(lines) < 7 && in.Scan(); {
		lines = append(lines, in.Text())
	}
	want := []string{": open", "", "event: jobs", "data: one", "data: two", "data: three", "data: id: 7"}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("got %q", lines)
	}
	f.CloseStreams()
	if <-ended == nil {
		t.Error("send works after the streams were closed")
	}
	if rest, err := io.ReadAll(res.Body); err != nil || strings.Contains(string(rest), "late") {
		t.Errorf("the rest is %q, %v", rest, err)
	}
	if e := <-f.log.entries; e.Status != 200 || f.output.String() != "" {
		t.Errorf("logged as %d, %s", e.Status, f.output)
	}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	text := func(path, contentType string, size int) Route {
		r := page
		r.Path = path
		r.Handler = func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, strings.Repeat("x", size))
			return nil
		}
		return r
	}
	f := setup(t, nil, text("/big", "text/html; charset=utf-8", 5000), text("/small", "text/html", 500), text("/png", "image/png", 5000))
	for _, test := range []struct{ path, accept, want string }{
		{"/big", "gzip", "gzip"}, {"/big", "zstd", "zstd"}, {"/big", "identity", ""},
		{"/small", "gzip", ""}, {"/png", "gzip", ""},
	} {
		if got := f.do("GET", test.path, "", "Accept-Encoding: "+test.accept).Header().Get("Content-Encoding"); got != test.want {
			t.Errorf("%s for %s is encoded as %q, want %q", test.path, test.accept, got, test.want)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "http://kept.test/", nil)
	w := httptest.NewRecorder()
	SetSession(w, r, "tok", time.Hour)
	if got, want := w.Header().Get("Set-Cookie"), "kept_session=tok; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("plain: %s", got)
	}
	w = httptest.NewRecorder()
	SetSession(w, httptest.NewRequest("GET", "https://kept.test/", nil), "tok", time.Hour)
	if got := w.Header().Get("Set-Cookie"); !strings.HasSuffix(got, "; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("over TLS: %s", got)
	}
	w = httptest.NewRecorder()
	ClearSession(w, r)
	if got := w.Header().Get("Set-Cookie"); !strings.Contains(got, "kept_session=; Path=/; Max-Age=0") {
		t.Errorf("clear: %s", got)
	}
}
