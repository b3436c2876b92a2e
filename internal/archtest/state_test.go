package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// keepers lists package-level variables that may hold something, and why.
var keepers = map[string]string{}

// TestPackagesKeepNoState lets two instances live in one process: whatever a
// program remembers is in a value that somebody made and handed on.
func TestPackagesKeepNoState(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range ours(t) {
		if forTests(p.ImportPath) {
			continue
		}
		var sources []source
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, parse(t, p.ImportPath+"/"+name, text))
		}
		for name, problem := range state(sources) {
			if _, ok := keepers[p.ImportPath+"."+name]; ok {
				seen[p.ImportPath+"."+name] = true
				continue
			}
			t.Error(problem)
		}
	}
	for name := range keepers {
		if !seen[name] {
			t.Errorf("%s keeps no state any more: take the row out", name)
		}
	}
}

// packageVars are the variables that a package declares outside functions.
type packageVars struct {
	names map[string]bool
	specs map[*ast.ValueSpec]bool
}

// state finds init functions and variables of a package that hold something
// that changes, by name. Tables, errors, patterns, embedded files and
// compile-time assertions are none of that.
func state(sources []source) map[string]string {
	problems := map[string]string{}
	vars := packageVars{map[string]bool{}, map[*ast.ValueSpec]bool{}}
	for _, s := range sources {
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					problems["init"] = s.at(d) + ": init runs behind the reader's back; call it from where it is needed"
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					variables(s, d, vars, problems)
				}
			}
		}
	}
	for _, s := range sources {
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
				writes(s, f.Body, vars, problems)
			}
		}
	}
	return problems
}

func variables(s source, d *ast.GenDecl, vars packageVars, problems map[string]string) {
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		vars.specs[v] = true
		embedded := isEmbed(d.Doc) || isEmbed(v.Doc)
		for i, name := range v.Names {
			if name.Name == "_" {
				continue
			}
			vars.names[name.Name] = true
			var value ast.Expr
			if i < len(v.Values) {
				value = v.Values[i]
			}
			if why := holds(value, len(v.Values) > 0, embedded); why != "" {
				problems[name.Name] = fmt.Sprintf("%s: variable %s %s: hand it in instead", s.at(name), name.Name, why)
			}
		}
	}
}

func isEmbed(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// holds says why a variable's first value shows that there will be others.
func holds(value ast.Expr, given, embedded bool) string {
	if unary, ok := value.(*ast.UnaryExpr); ok && unary.Op == token.AND {
		value = unary.X
	}
	switch v := value.(type) {
	case nil:
		if !given && !embedded {
			return "begins empty, so it is filled later"
		}
	case *ast.BasicLit:
		return "is a number or a text that can change (or should be a const)"
	case *ast.CompositeLit:
		if _, isMap := v.Type.(*ast.MapType); isMap && len(v.Elts) == 0 {
			return "is an empty map, so it is filled later"
		}
		if t := typeName(v.Type); strings.HasPrefix(t, "sync.") && t != "sync.Pool" || strings.HasPrefix(t, "atomic.") {
			return "is a " + t + ", which guards or counts something"
		}
	case *ast.CallExpr:
		if f, ok := v.Fun.(*ast.Ident); ok && (f.Name == "make" || f.Name == "new") {
			return "is made empty, so it is filled later"
		}
	}
	return ""
}

func typeName(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok {
			return x.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// writes finds assignments to the package's variables or to parts of them.
func writes(s source, body *ast.BlockStmt, vars packageVars, problems map[string]string) {
	check := func(target ast.Expr) {
		id := base(target)
		if id == nil || !vars.isPackageLevel(id) {
			return
		}
		problems[id.Name] = fmt.Sprintf("%s: writes to variable %s of the package: keep it in a value instead", s.at(id), id.Name)
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, target := range n.Lhs {
					check(target)
				}
			}
		case *ast.IncDecStmt:
			check(n.X)
		}
		return true
	})
}

// base is the variable that an expression such as a.b[c] is a part of.
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isPackageLevel tells a variable of the package from a local one of the same
// name. The parser resolves names within a file: nothing found means that the
// name is declared in another file of the package.
func (vars packageVars) isPackageLevel(id *ast.Ident) bool {
	if id.Obj == nil {
		return vars.names[id.Name]
	}
	spec, ok := id.Obj.Decl.(*ast.ValueSpec)
	return ok && vars.specs[spec]
}

func TestStateIsFound(t *testing.T) {
	t.Parallel()
	for text, bad := range map[string]string{
		`var ErrX = errors.New("x")`:                                "",
		`var re = regexp.MustCompile("x")`:                          "",
		`var table = []string{"a"}`:                                 "",
		`var table = map[string]int{"a": 1}`:                        "",
		`var _ io.Reader = (*T)(nil)`:                               "",
		"//go:embed x\nvar text string":                             "",
		"//go:embed x\nvar tree embed.FS":                           "",
		`var words = func() (t [3]int) { t[0] = 1; return t }()`:    "",
		`var pool = sync.Pool{New: func() any { return new(int) }}`: "",
		"var table = []int{1}\nfunc f() { table := 1; table = 2; var pool int; pool++ }\nvar pool = []int{1}": "",
		`func init() {}`:                                "init",
		`var count int`:                                 "count",
		`var count = 1`:                                 "count",
		`var mu sync.Mutex`:                             "mu",
		`var mu = sync.Mutex{}`:                         "mu",
		`var n = atomic.Int64{}`:                        "n",
		`var cache = map[string]int{}`:                  "cache",
		`var cache = make(map[string]int)`:              "cache",
		`var news = make(chan int)`:                     "news",
		`var p = &sync.Map{}`:                           "p",
		"var now = time.Now\nfunc f() { now = nil }":    "now",
		"var table = []int{1}\nfunc f() { table[0]++ }": "table",
		"var conf = &T{1}\nfunc f() { conf.x = 2 }":     "conf",
	} {
		got := ""
		for name := range state([]source{parse(t, "p.go", []byte("package p\n\n"+text+"\n"))}) {
			got += name
		}
		if got != bad {
			t.Errorf("%s\n\tfound %q, want %q", text, got, bad)
		}
	}
}
