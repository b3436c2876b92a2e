package httpx

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
)

type input struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"name":"x","size":3}`: "",
		`{"nam":"x"}`:           "There is no field nam.",
		`{"name":"x"} {}`:       "behind",
		`{"name":"x"`:           "too early",
		``:                      "too early",
		`{"size":"three"}`:      "The field size must be a int, not a string.",
		`{"name":}`:             "not JSON",
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		err := ReadJSON(r, new(input))
		if want == "" && err != nil || want != "" && (kernel.CodeOf(err) != kernel.Malformed || !strings.Contains(kernel.AsError(err).Safe, want)) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{}`))
	r.Header.Set("Content-Type", "text/plain")
	if err := ReadJSON(r, new(input)); kernel.CodeOf(err) != kernel.Malformed {
		t.Errorf("another content type: %v", err)
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add(`{"name":"x","size":3}`)
	f.Add(`{"\u0000":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if err := ReadJSON(r, new(input)); err != nil && kernel.CodeOf(err) != kernel.Malformed {
			t.Errorf("%q: %v", body, err)
		}
	})
}

func TestReadForm(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/?a=query", strings.NewReader("a=form&b=%zz"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := ReadForm(r); kernel.CodeOf(err) != kernel.Malformed {
		t.Errorf("broken: %v", err)
	}
	r = httptest.NewRequest("POST", "/?a=query", strings.NewReader("a=form"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got, err := ReadForm(r); err != nil || got.Get("a") != "form" {
		t.Errorf("got %v, %v", got, err)
	}
}
