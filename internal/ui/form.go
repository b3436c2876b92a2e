package ui

// Form is a whole form: {{template "ui.form" .}}. A page that needs more
// control writes its own form element and uses "ui.field" for each Field.
type Form struct {
	Action  string
	ID      string
	Error   string // what is wrong with the whole, shown above the fields
	Fields  []Field
	Hidden  []Param
	Submit  string
	Danger  bool   // the button destroys something
	Cancel  string // where "Cancel" leads; empty: no such link
	Narrow  bool
	Columns bool
}

// Field is one labelled input. After a failed submit set Value to what was
// typed and Error to what is wrong; passwords are never sent back.
type Field struct {
	Name         string
	ID           string // default: "f-" and Name
	Label        string
	Kind         string // text (default), email, password, number, search, url, tel, date, datetime-local, textarea, select, radio, checkbox, promql
	Value        string
	Hint         string
	Error        string
	Placeholder  string
	Autocomplete string
	InputMode    string
	Options      []Option // of select and radio
	Rows         int      // of textarea
	MaxLength    int
	MinLength    int
	Required     bool
	Autofocus    bool
	Checked      bool // of checkbox
	Disabled     bool
	Mono         bool
	Unit         string // shown after the input
	API          string // of promql: where completion asks, the path before /labels and the like of Prometheus's API ("/w/{ws}/explore/api")
}

// FieldID is the id of the input.
func (f Field) FieldID() string {
	if f.ID != "" {
		return f.ID
	}
	return "f-" + f.Name
}

// DescribedBy lists the ids of the hint and the error.
func (f Field) DescribedBy() string {
	switch id := f.FieldID(); {
	case f.Hint != "" && f.Error != "":
		return id + "-error " + id + "-hint"
	case f.Error != "":
		return id + "-error"
	case f.Hint != "":
		return id + "-hint"
	}
	return ""
}

// InputKind is the type attribute of a plain input.
func (f Field) InputKind() string {
	if f.Kind == "" {
		return "text"
	}
	return f.Kind
}

// SafeValue is Value, except for passwords.
func (f Field) SafeValue() string {
	if f.Kind == "password" {
		return ""
	}
	return f.Value
}

// Invalid lists the fields with an error, for the summary above the form.
func (f Form) Invalid() []Field {
	var out []Field
	for _, field := range f.Fields {
		if field.Error != "" {
			out = append(out, field)
		}
	}
	return out
}

// WithErrors returns the form with Error set on the named fields.
func (f Form) WithErrors(byName map[string]string) Form {
	fields := append([]Field(nil), f.Fields...)
	for i := range fields {
		if text := byName[fields[i].Name]; text != "" {
			fields[i].Error = text
		}
	}
	f.Fields = fields
	return f
}

// Dialog is a question with its form, in a native dialog element. The link
// that opens it (an Action with Opens) leads to a page with the same form, so
// it works without scripts.
type Dialog struct {
	ID    string
	Title string
	Text  string
	Form  Form
}
