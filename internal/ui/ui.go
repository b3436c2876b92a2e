package ui

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"sync"
)

// ContentSecurityPolicy is the policy every page is written for. It has no
// exceptions: no inline script, no inline style, no evaluation of strings.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; " +
	"form-action 'self'; frame-ancestors 'none'"

//go:embed templates/*.html
var templateFS embed.FS

// Config is what the shell must be told. The zero value works: one anonymous
// viewer, no navigation.
type Config struct {
	// Product is the name in titles and beside the logo; empty means "Kept".
	Product string
	// Apps are the entries of the app switcher and of the account menu.
	Apps []App
	// Frame says who is looking and what surrounds the page. It runs once per
	// full page and may be nil.
	Frame func(*http.Request) Frame
}

// UI holds the parsed shared templates and the asset manifest. It is safe for
// concurrent use.
type UI struct {
	cfg    Config
	shared *template.Template
	assets *assetStore
	own    *Pages

	mu   sync.Mutex
	sets []*Pages // for Check
}

// New parses the embedded templates and the asset manifest. An error means
// that this binary was built from a broken tree.
func New(cfg Config) (*UI, error) {
	if cfg.Product == "" {
		cfg.Product = "Kept"
	}
	assets, err := newAssetStore()
	if err != nil {
		return nil, fmt.Errorf("ui assets: %w", err)
	}
	u := &UI{cfg: cfg, assets: assets}
	if u.shared, err = u.parseShared(); err != nil {
		return nil, fmt.Errorf("ui templates: %w", err)
	}
	if u.own, err = u.Pages(templateFS, "templates/page_*.html"); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *UI) parseShared() (*template.Template, error) {
	t := template.New("ui").Option("missingkey=error").Funcs(u.funcs())
	files, err := fs.Glob(templateFS, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if isPage(name) {
			continue
		}
		if err := parseFile(t, templateFS, name); err != nil {
			return nil, err
		}
	}
	return t, nil
}
