package agents

import (
	_ "embed"
	"strings"
	"text/template"
)

//go:embed install.sh
var scriptText string

var script = template.Must(template.New("install.sh").Funcs(template.FuncMap{"quote": quote}).Parse(scriptText))

// Script is a shell script that installs the build which fits the host it runs on, after comparing its hash, and enrols the
// host when it is given a token. base is the address of this server.
func (b *Builds) Script(base string) (string, error) {
	list, err := b.List()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = script.Execute(&out, struct {
		Base   string
		Builds []Build
	}{strings.TrimRight(base, "/"), list})
	return out.String(), err
}
