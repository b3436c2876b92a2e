package ui

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Pages is a set of page templates of one feature package. A page is parsed
// when it is first drawn, so that a server starts at once and holds what
// somebody looks at.
type Pages struct {
	ui    *UI
	fsys  fs.FS
	files []string
	pages map[string]func() (*template.Template, error)
}

// Pages finds the files that match the patterns. A file whose base name
// begins with "_" holds partials that all pages of the set share; every other
// file is one page, named by its base name without ".html". A page must
// define "content". A template named "#some-id" in a page is the fragment
// that htmx gets when it asks for the element with that id.
//
// Broken templates are found by Check, and by whoever draws them.
func (u *UI) Pages(fsys fs.FS, patterns ...string) (*Pages, error) {
	files, err := globAll(fsys, patterns)
	if err != nil {
		return nil, err
	}
	base := sync.OnceValues(func() (*template.Template, error) { return u.withPartials(fsys, files) })
	set := &Pages{ui: u, fsys: fsys, files: files, pages: map[string]func() (*template.Template, error){}}
	for _, file := range files {
		if isPartial(file) {
			continue
		}
		name := strings.TrimPrefix(strings.TrimSuffix(path.Base(file), ".html"), "page_")
		if set.pages[name] != nil {
			return nil, fmt.Errorf("two page templates are named %q", name)
		}
		set.pages[name] = sync.OnceValues(func() (*template.Template, error) {
			shared, err := base()
			if err != nil {
				return nil, err
			}
			return parsePage(shared, fsys, file)
		})
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sets = append(u.sets, set)
	return set, nil
}

// MustPages is Pages for embedded templates: it panics where Pages fails,
// because a binary without its templates should not start.
func (u *UI) MustPages(fsys fs.FS, patterns ...string) *Pages {
	set, err := u.Pages(fsys, patterns...)
	if err != nil {
		panic(err)
	}
	return set
}

// Check parses every page of every set, executes it far enough to be escaped
// and looks for what the content security policy forbids, so that an unknown
// template, an unknown function or broken HTML is an error in a test and not
// at the first visit.
func (u *UI) Check() error {
	u.mu.Lock()
	sets := slices.Clone(u.sets)
	u.mu.Unlock()
	var errs []error
	for _, set := range sets {
		errs = append(errs, set.Check())
	}
	return errors.Join(errs...)
}

// Check is UI.Check for one set.
func (p *Pages) Check() error {
	var errs []error
	for _, file := range p.files {
		text, err := fs.ReadFile(p.fsys, file)
		errs = append(errs, err)
		for _, problem := range LintTemplate(file, text) {
			errs = append(errs, errors.New(problem))
		}
	}
	for _, parse := range p.pages {
		t, err := parse()
		if err == nil {
			err = checkEscapes(t)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// withPartials is the shared templates and the partials among the files.
func (u *UI) withPartials(fsys fs.FS, files []string) (*template.Template, error) {
	base, err := u.shared.Clone()
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if isPartial(file) {
			if err := parseFile(base, fsys, file); err != nil {
				return nil, err
			}
		}
	}
	return base, nil
}

func parsePage(shared *template.Template, fsys fs.FS, file string) (*template.Template, error) {
	t, err := shared.Clone()
	if err != nil {
		return nil, err
	}
	t.Funcs(template.FuncMap{"render": renderFunc(t)})
	if err := parseFile(t, fsys, file); err != nil {
		return nil, err
	}
	if t.Lookup("content") == nil {
		return nil, fmt.Errorf("%s does not define %q", file, "content")
	}
	return t, nil
}

func (p *Pages) page(name string) (*template.Template, error) {
	parse := p.pages[name]
	if parse == nil {
		return nil, fmt.Errorf("ui: no page template is named %q", name)
	}
	t, err := parse()
	if err != nil {
		return nil, fmt.Errorf("ui: page %q: %w", name, err)
	}
	return t, nil
}

// Render writes a page, or the fragment of it that htmx asked for. Everything
// is rendered to memory first, so an error has written nothing and the caller
// can still answer with an error page.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, status int, name string, page Page) error {
	t, err := p.page(name)
	if err != nil {
		return err
	}
	w.Header().Add("Vary", "HX-Request, HX-Target")
	block, id := fragmentFor(t, r)
	if block == "" {
		if id != "" {
			// The client asked for one element and the page has no template
			// for it alone: send the page and let htmx pick.
			w.Header().Set("HX-Reselect", "#"+id)
		}
		return p.write(w, t, status, "layout", p.ui.view(r, page))
	}
	return p.write(w, t, status, block, page.Body)
}

// Fragment renders one named template of a page to memory, for example to
// send it in a mail or a test.
func (p *Pages) Fragment(name, block string, data any) (template.HTML, error) {
	t, err := p.page(name)
	if err != nil {
		return "", err
	}
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, block, data); err != nil {
		return "", err
	}
	return template.HTML(buf.String()), nil
}

func (p *Pages) write(w http.ResponseWriter, t *template.Template, status int, block string, data any) error {
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, block, data); err != nil {
		return fmt.Errorf("ui: render %s: %w", block, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, err := w.Write(buf.Bytes())
	return err
}

// fragmentFor returns the template to send for this request ("" for the full
// page) and, when htmx asked for one element, the id of that element.
func fragmentFor(t *template.Template, r *http.Request) (block, id string) {
	h := r.Header
	if h.Get("HX-Request") != "true" || h.Get("HX-History-Restore-Request") == "true" || h.Get("HX-Request-Type") == "full" {
		return "", ""
	}
	// htmx 4 sends "tag#id"; htmx 2 sends the bare id.
	target := h.Get("HX-Target")
	if _, after, ok := strings.Cut(target, "#"); ok {
		target = after
	}
	if unescaped, err := url.PathUnescape(target); err == nil {
		target = unescaped
	}
	if target == "" || !isIdent(target) {
		return "", ""
	}
	if t.Lookup("#"+target) != nil {
		return "#" + target, target
	}
	return "", target
}

func isIdent(s string) bool {
	for _, c := range s {
		if !(c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return s != ""
}

// renderFunc lets a component embed a template chosen by name, which the
// template action itself cannot do.
func renderFunc(t *template.Template) func(string, any) (template.HTML, error) {
	return func(name string, data any) (template.HTML, error) {
		var buf bytes.Buffer
		if err := t.ExecuteTemplate(&buf, name, data); err != nil {
			return "", err
		}
		return template.HTML(buf.String()), nil
	}
}

// checkEscapes makes html/template escape the layout with everything it
// reaches, and every fragment, now. Escaping happens before execution; the
// probe value makes execution itself stop at once.
func checkEscapes(t *template.Template) error {
	names := []string{"layout"}
	for _, x := range t.Templates() {
		if strings.HasPrefix(x.Name(), "#") {
			names = append(names, x.Name())
		}
	}
	sort.Strings(names)
	for _, name := range names {
		err := t.ExecuteTemplate(discard{}, name, nil)
		var escape *template.Error
		if errors.As(err, &escape) {
			return escape
		}
	}
	return nil
}

type discard struct{}

var errDiscard = errors.New("probe")

func (discard) Write([]byte) (int, error) { return 0, errDiscard }

func parseFile(t *template.Template, fsys fs.FS, name string) error {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if _, err := t.New(path.Base(name)).Parse(string(text)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func globAll(fsys fs.FS, patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		found, err := fs.Glob(fsys, pattern)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("ui: no template matches %q", pattern)
		}
		files = append(files, found...)
	}
	return files, nil
}

func isPartial(name string) bool { return strings.HasPrefix(path.Base(name), "_") }
func isPage(name string) bool    { return strings.HasPrefix(path.Base(name), "page_") }
