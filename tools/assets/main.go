// Command assets builds the scripts and styles of internal/ui with esbuild
// into internal/ui/dist, under names that carry a hash of their content.
//
//	go run ./tools/assets          build
//	go run ./tools/assets --check  fail when dist differs from what a build makes
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed files instead of writing")
	dir := flag.String("ui", "internal/ui", "folder of the ui package")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	files, err := build(dir)
	if err != nil {
		return err
	}
	dist := filepath.Join(dir, "dist")
	if check {
		return compare(dist, files)
	}
	if err := write(dist, files); err != nil {
		return err
	}
	report(files)
	return nil
}

// build returns the content of dist by file name, manifest included.
func build(dir string) (map[string][]byte, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	files, manifest := map[string][]byte{}, map[string]string{}
	for _, options := range bundles(root) {
		result := api.Build(options)
		if len(result.Errors) > 0 {
			text := api.FormatMessages(result.Errors, api.FormatMessagesOptions{Kind: api.ErrorMessage})
			return nil, errors.New(strings.Join(text, "\n"))
		}
		for _, f := range result.OutputFiles {
			name := filepath.Base(f.Path)
			files[name] = f.Contents
			// Shared chunks are named by the modules that import them.
			if logical := logicalName(name); logical != "chunk.js" {
				manifest[logical] = name
			}
		}
	}
	if err := addStatic(root, files, manifest); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return nil, err
	}
	files["manifest.json"] = append(text, '\n')
	return files, nil
}

// packages are the files that stand for the packages which third-party files
// name, since there is no node_modules. The TypeScript configuration has the
// same list for their types.
var packages = map[string]string{
	"@codemirror/autocomplete":    "./thirdparty/codemirror/autocomplete/index.js",
	"@codemirror/commands":        "./thirdparty/codemirror/commands/index.js",
	"@codemirror/language":        "./thirdparty/codemirror/language/index.js",
	"@codemirror/lint":            "./thirdparty/codemirror/lint/index.js",
	"@codemirror/state":           "./thirdparty/codemirror/state/index.js",
	"@codemirror/streamparser":    "./thirdparty/codemirror/streamparser/index.js",
	"@codemirror/view":            "./thirdparty/codemirror/view/index.js",
	"@lezer/common":               "./thirdparty/lezer/common/index.js",
	"@lezer/highlight":            "./thirdparty/lezer/highlight/index.js",
	"@lezer/lr":                   "./thirdparty/lezer/lr/index.js",
	"@marijn/find-cluster-break":  "./thirdparty/codemirror/find-cluster-break/index.js",
	"@prometheus-io/lezer-promql": "./thirdparty/lezer/promql/index.es.js",
	"crelt":                       "./thirdparty/codemirror/crelt/index.js",
	"lru-cache":                   "./thirdparty/lru-cache/index.js",
	"style-mod":                   "./thirdparty/codemirror/style-mod/style-mod.js",
	"w3c-keyname":                 "./thirdparty/codemirror/w3c-keyname/index.js",
}

// bundles are the builds: modules that may share chunks, the script that must
// run before the first paint and so is no module, and the style sheet.
func bundles(root string) []api.BuildOptions {
	base := api.BuildOptions{
		AbsWorkingDir: root, Outdir: filepath.Join(root, "dist"), Bundle: true, Write: false,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		EntryNames: "[name].[hash]", ChunkNames: "[name].[hash]", Charset: api.CharsetUTF8,
		LegalComments: api.LegalCommentsInline, LogLevel: api.LogLevelSilent, Alias: packages,
		Engines: []api.Engine{{Name: api.EngineChrome, Version: "123"}, {Name: api.EngineFirefox, Version: "121"}, {Name: api.EngineSafari, Version: "17.5"}},
	}
	modules, theme, style := base, base, base
	modules.EntryPoints = []string{"assets/src/kept.ts"}
	modules.Format, modules.Splitting = api.FormatESModule, true
	theme.EntryPoints = []string{"assets/src/theme.ts"}
	theme.Format = api.FormatIIFE
	style.EntryPoints = []string{"assets/css/kept.css"}
	return []api.BuildOptions{modules, theme, style}
}

// addStatic copies assets/static under hashed names.
func addStatic(root string, files map[string][]byte, manifest map[string]string) error {
	entries, err := os.ReadDir(filepath.Join(root, "assets", "static"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		body, err := os.ReadFile(filepath.Join(root, "assets", "static", e.Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(e.Name())
		hash := base32.StdEncoding.EncodeToString(sum[:5])
		name := strings.TrimSuffix(e.Name(), ext) + "." + hash + ext
		files[name], manifest[e.Name()] = body, name
	}
	return nil
}

// logicalName takes the hash out: "kept.ABC.js" is "kept.js".
func logicalName(name string) string {
	parts := strings.Split(name, ".")
	if len(parts) < 3 {
		return name
	}
	return strings.Join(append(parts[:len(parts)-2], parts[len(parts)-1]), ".")
}

func write(dist string, files map[string][]byte) error {
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dist, name), body, 0o644); err != nil {
			return err
		}
	}
	// What is stale goes last, so that the folder is never without a file
	// that its manifest names.
	entries, err := os.ReadDir(dist)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, wanted := files[e.Name()]; !wanted {
			if err := os.Remove(filepath.Join(dist, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func compare(dist string, files map[string][]byte) error {
	var differ []string
	for name, body := range files {
		old, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil || !bytes.Equal(old, body) {
			differ = append(differ, name)
		}
	}
	entries, err := os.ReadDir(dist)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, wanted := files[e.Name()]; !wanted {
			differ = append(differ, e.Name())
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return fmt.Errorf("%s differs from its sources (%s); run go run ./tools/assets", dist, strings.Join(differ, ", "))
	}
	return nil
}

// report prints the sizes that a visitor downloads.
func report(files map[string][]byte) {
	type row struct {
		name     string
		raw, zip int
	}
	var rows []row
	for name, body := range files {
		var buf bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
		_, _ = zw.Write(body)
		_ = zw.Close()
		rows = append(rows, row{name, len(body), buf.Len()})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.name, b.name) })
	for _, r := range rows {
		fmt.Printf("%-28s %7d bytes %7d gzipped\n", r.name, r.raw, r.zip)
	}
}
