package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/kept-dev/kept/"

// root is the top of the repository as seen from here.
const root = "../.."

// pkg is what `go list` says of one of our packages. Paths are written without
// the module's.
type pkg struct {
	ImportPath, Name, Doc, Dir         string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

// packages lists our packages as they are built for Linux, once per run.
var packages = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		for i := range p.Imports {
			p.Imports[i] = strings.TrimPrefix(p.Imports[i], module)
		}
		list = append(list, p)
	}
})

func ours(t *testing.T) []pkg {
	t.Helper()
	list, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// within tells whether an import path is a folder or below it.
func within(importPath, folder string) bool {
	return importPath == folder || strings.HasPrefix(importPath, folder+"/")
}

// forTests tells whether a package exists for tests only: a kit, a conformance
// suite (blobtest, dbtest), a browser harness.
func forTests(importPath string) bool {
	return within(importPath, "test") || within(importPath, "internal/testkit") || strings.HasSuffix(path.Base(importPath), "test")
}

// isStd tells whether a package is of the standard library: only other modules
// have a dot in the first part of the path, and ours are written without it.
func isStd(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".") && !isOurs(importPath)
}

func isOurs(importPath string) bool {
	for _, folder := range []string{"cmd", "internal", "sdk", "test", "tools", "wire"} {
		if strings.HasPrefix(importPath, folder+"/") {
			// The standard library has internal and cmd too, which nobody can import.
			return true
		}
	}
	return false
}

// files calls f for each file of the repository that people write: not for what
// git ignores or what other projects wrote.
func files(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch base := d.Name(); {
			case name == ".", base == ".ci", base == ".github":
			case strings.HasPrefix(base, "."), base == "node_modules", base == "thirdparty", base == "dist", name == "bin", name == "data":
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // someone is renaming it just now
		}
		if err != nil {
			return err
		}
		f(name, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// source is one parsed Go file.
type source struct {
	name string // relative to the root
	fset *token.FileSet
	file *ast.File
}

// at names the place of a node.
func (s source) at(n ast.Node) string {
	return strings.TrimPrefix(s.fset.Position(n.Pos()).String(), root+"/")
}

func parse(t *testing.T, name string, text []byte) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return source{name, fset, file}
}
