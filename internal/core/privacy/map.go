package privacy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Map is the data map: everything that Kept stores, as its modules declare it. Its order is that of the declarations,
// in which what refers to something comes after it.
type Map struct {
	collections []Collection
}

// NewMap makes a data map of declarations.
func NewMap(collections []Collection) *Map { return &Map{collections: slices.Clone(collections)} }

// Collections lists the declarations in their order.
func (m *Map) Collections() []Collection { return m.collections }

// With lists the collections that take part in a promise.
func (m *Map) With(promise string) []Collection {
	var out []Collection
	for _, c := range m.collections {
		if slices.Contains(c.Promises, promise) {
			out = append(out, c)
		}
	}
	return out
}

// Of lists the collections of a module.
func (m *Map) Of(module string) []Collection {
	var out []Collection
	for _, c := range m.collections {
		if c.Module == module {
			out = append(out, c)
		}
	}
	return out
}

// IsTable tells whether the collection is a table. Others, such as "blob:recordings/", are kept outside of databases.
func (c Collection) IsTable() bool { return !strings.Contains(c.Name, ":") }

// Personal tells whether a field holds data about people or customers' content.
func (c Collection) Personal() bool {
	return slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Category.personal() })
}

func (c Collection) String() string { return c.Where + ": " + c.Name }

// personal tells whether such a field may say something about a person.
func (c Category) personal() bool {
	switch c {
	case Identity, Contact, Network, Content, Billing:
		return true
	}
	return false
}

var categories = []Category{Technical, Settings, Identity, Contact, Network, Secret, Content, Telemetry, Billing, Diagnostic}

// legalBases are the ones of GDPR Art. 6(1) that Kept rests on. A declaration may add detail after them.
var legalBases = []string{"contract", "legitimate interest", "consent", "legal obligation"}

// sqlName is what a table or column may be called: the checks put these names into SQL.
var sqlName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Finding is one disagreement in the data map, or between it and a live schema.
type Finding struct {
	Where   string `json:"where,omitempty"`
	Table   string `json:"table"`
	Column  string `json:"column,omitempty"`
	Problem string `json:"problem"`
}

func (f Finding) String() string {
	name := f.Table
	if f.Column != "" {
		name += "." + f.Column
	}
	if f.Where != "" {
		name = f.Where + ": " + name
	}
	return name + ": " + f.Problem
}

// Validate finds declarations that are incomplete or contradict one another. databases are the names that Where may
// have for tables.
func (m *Map) Validate(databases []Database) []Finding {
	var out []Finding
	promises := map[string]bool{}
	for _, p := range Promises() {
		promises[p.ID] = true
	}
	seen := map[string]bool{}
	for _, c := range m.collections {
		v := validator{collection: c, promises: promises, databases: databases}
		if seen[c.String()] {
			v.add("", "is declared twice")
		}
		seen[c.String()] = true
		v.words()
		v.fields()
		v.powers()
		out = append(out, v.findings...)
	}
	return out
}

// validator looks at one declaration.
type validator struct {
	collection Collection
	promises   map[string]bool
	databases  []Database
	findings   []Finding
}

func (v *validator) add(column, format string, args ...any) {
	v.findings = append(v.findings, Finding{Where: v.collection.Where, Table: v.collection.Name, Column: column,
		Problem: fmt.Sprintf(format, args...)})
}

// words checks what the declaration says to people.
func (v *validator) words() {
	c := v.collection
	for _, text := range []struct{ name, value string }{
		{"Name", c.Name}, {"Module", c.Module}, {"Title", c.Title}, {"Purpose", c.Purpose},
		{"Retention", c.Retention}, {"Where", c.Where},
	} {
		if text.value == "" {
			v.add("", "%s is empty", text.name)
		}
	}
	if c.IsTable() && !slices.ContainsFunc(v.databases, func(d Database) bool { return d.Where == c.Where }) {
		v.add("", "Where names no database of this server")
	}
	nobody := c.Subjects == "" || c.Subjects == "nobody"
	if c.Personal() && nobody {
		v.add("", "Subjects says nobody, but a field is about people or their content")
	}
	if !nobody && !slices.ContainsFunc(legalBases, func(b string) bool { return strings.HasPrefix(c.LegalBasis, b) }) {
		v.add("", "LegalBasis %q begins with none of: %s", c.LegalBasis, strings.Join(legalBases, ", "))
	}
	for _, id := range c.Promises {
		if !v.promises[id] {
			v.add("", "takes part in %s, which is no promise", id)
		}
	}
}

// fields checks the columns' declarations.
func (v *validator) fields() {
	c := v.collection
	if c.IsTable() && !sqlName.MatchString(c.Name) {
		v.add("", "is no name for a table")
	}
	if len(c.Fields) == 0 {
		v.add("", "declares no fields")
	}
	seen := map[string]bool{}
	for _, f := range c.Fields {
		if c.IsTable() && !sqlName.MatchString(f.Name) {
			v.add(f.Name, "is no name for a column")
		}
		if seen[f.Name] {
			v.add(f.Name, "is declared twice")
		}
		seen[f.Name] = true
		if !slices.Contains(categories, f.Category) {
			v.add(f.Name, "has the unknown category %q", f.Category)
		}
	}
}

// powers checks that what can be done with the collection is either there or explained.
func (v *validator) powers() {
	c := v.collection
	if (c.Sweep == nil) != (c.MaxAge == nil) {
		v.add("", "has one of Sweep and MaxAge; it needs both or neither")
	}
	if c.Sweep != nil && c.Oldest == nil {
		v.add("", "is swept, but without Oldest nobody can tell whether that works")
	}
	if c.Export == nil && c.NoExport == "" {
		v.add("", "has no Export and NoExport does not say why")
	}
	if c.Erase == nil && c.NoErase == "" {
		v.add("", "has no Erase and NoErase does not say why")
	}
}
