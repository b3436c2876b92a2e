package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestThirdPartyFiles(t *testing.T) {
	t.Parallel()
	var packages []struct {
		Name, Version, License string
		Files                  map[string]string
	}
	text, err := os.ReadFile("thirdparty/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &packages); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"thirdparty/manifest.json": true, "thirdparty/README.md": true}
	for _, p := range packages {
		if p.Version == "" || p.License == "" || len(p.Files) == 0 {
			t.Errorf("%s lacks a version, a license or files", p.Name)
		}
		for name, want := range p.Files {
			listed[name] = true
			body, err := os.ReadFile(name)
			if err != nil {
				t.Error(err)
				continue
			}
			if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
				t.Errorf("%s is not the file of %s %s", name, p.Name, p.Version)
			}
		}
	}
	for _, dir := range []string{"thirdparty", "uitest/axe"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !listed[filepath.ToSlash(name)] {
				t.Errorf("%s is not in thirdparty/manifest.json", name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAssetsAreServedForGood(t *testing.T) {
	t.Parallel()
	u := newUI(t, Config{})
	for _, tc := range []struct{ name, kind string }{
		{"kept.js", "text/javascript; charset=utf-8"}, {"theme.js", "text/javascript; charset=utf-8"},
		{"kept.css", "text/css; charset=utf-8"}, {"favicon.svg", "image/svg+xml"},
	} {
		path, err := u.AssetPath(tc.name)
		if err != nil {
			t.Fatal(err)
		}
		plain := get(u, path, nil)
		if plain.Code != 200 || plain.Header().Get("Content-Type") != tc.kind ||
			!strings.Contains(plain.Header().Get("Cache-Control"), "immutable") || plain.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, plain.Code, plain.Header())
		}
		zipped := get(u, path, map[string]string{"Accept-Encoding": "br, gzip;q=0.8"})
		if zipped.Header().Get("Content-Encoding") == "gzip" {
			zr, err := gzip.NewReader(zipped.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(zr); err != nil || !bytes.Equal(body, plain.Body.Bytes()) {
				t.Errorf("%s: the compressed answer differs (%v)", path, err)
			}
		} else if tc.name == "kept.js" {
			t.Errorf("%s was not compressed", path)
		}
		again := get(u, path, map[string]string{"If-None-Match": plain.Header().Get("ETag")})
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s: conditional request answered %d", path, again.Code)
		}
		if z := get(u, path, map[string]string{"Accept-Encoding": "gzip;q=0"}); z.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed against the client's will", path)
		}
	}
	for _, path := range []string{"/assets/nothing.js", "/assets/", "/assets/manifest.json", "/assets/../ui.go"} {
		if w := get(u, path, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s answered %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	u.Assets().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/assets/kept.js", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST answered %d", w.Code)
	}
}

func get(u *UI, path string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.Path = path
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	u.Assets().ServeHTTP(w, r)
	return w
}

// What a page without a chart loads must stay small.
func TestScriptBudget(t *testing.T) {
	t.Parallel()
	u := newUI(t, Config{})
	page, err := distFS.ReadFile("dist/" + u.assets.manifest["kept.js"])
	if err != nil {
		t.Fatal(err)
	}
	total, styles, editors := 0, 0, 0
	for name, f := range u.assets.files {
		switch {
		case strings.HasPrefix(name, "arrange."): // where panels are arranged
			if n := len(f.gzip()); n > 4<<10 {
				t.Errorf("arrange.js has %d bytes gzipped", n)
			}
		case strings.HasPrefix(name, "chart."):
			if n := len(f.gzip()); n > 34<<10 {
				t.Errorf("chart.js has %d bytes gzipped", n)
			}
		case strings.HasPrefix(name, "promql."), strings.HasPrefix(name, "json."), strings.HasPrefix(name, "chunk.") && !strings.Contains(string(page), "from\"./"+name):
			editors += len(f.gzip())
		case strings.HasSuffix(name, ".js"):
			total += len(f.gzip())
		case strings.HasSuffix(name, ".css"):
			styles += len(f.gzip())
		}
	}
	if editors == 0 || editors > 164<<10 {
		t.Errorf("the editors have %d bytes gzipped", editors)
	}
	if total == 0 || total > 30_000 || styles > 14_000 {
		t.Errorf("scripts %d bytes gzipped (limit 30000), styles %d (limit 14000)", total, styles)
	}
}

// Every template of the repository obeys the policy, whoever wrote it.
func TestTemplatesOfTheRepository(t *testing.T) {
	t.Parallel()
	found, err := LintTemplates(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range found {
		t.Errorf("internal/%s", line)
	}
}

func TestLintTemplate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want int
	}{
		{`<p class="style">on time = now</p>`, 0},
		{`<script src="{{asset "kept.js"}}"></script><script type="module" src="x"></script>`, 0},
		{`<a hx-get="/x" hx-trigger="click, keyup delay:200ms">x</a>`, 0},
		{"\n<p style=\"color:red\">", 1},
		{`<p STYLE = 'x'>`, 1},
		{`<style>p{}</style>`, 1},
		{`<script>alert(1)</script>`, 1},
		{`<script src="x">alert(1)</script>`, 1},
		{`<p onclick="x">`, 1},
		{`<p data-x="1"onload=x>`, 1},
		{`<p hx-on:click="x">`, 1},
		{`<p hx-on::after:swap="x">`, 1},
		{`<p data-hx-on="click -> x">`, 1},
		{`<p hx-vals="js:{a:1}">`, 1},
		{`<p hx-vals='javascript:x'>`, 1},
		{`<a href=javascript:x>`, 1},
		{`<p hx-trigger="click[ctrlKey]">`, 1},
		{`<p data-hx-live="x">`, 1},
		{`<iframe srcdoc="x">`, 1},
	} {
		if got := LintTemplate("x.html", []byte(tc.text)); len(got) != tc.want {
			t.Errorf("%s: %d findings, want %d: %v", tc.text, len(got), tc.want, got)
		}
	}
	if got := LintTemplate("x.html", []byte("\n\n<style>")); len(got) != 1 || !strings.HasPrefix(got[0], "x.html:3: ") {
		t.Errorf("the line is missing: %v", got)
	}
}

func TestIconsAreWellFormed(t *testing.T) {
	t.Parallel()
	names := IconNames()
	if !slices.IsSorted(names) || len(names) < 40 {
		t.Errorf("icons: %v", names)
	}
	if _, err := Icon("no such icon"); err == nil {
		t.Error("an unknown icon is no error")
	}
	for word, look := range statusTones {
		if _, err := Icon(look.icon); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}
