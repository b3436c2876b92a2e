package notify

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	"github.com/kept-dev/kept/internal/ui"
)

// kind is one sort of channel.
type kind struct {
	Key    string // "slack-bot"
	Title  string // "Slack (bot)"
	About  string // one sentence
	Docs   string // the provider's own page about it
	Steps  []string
	Fields []field
	Pages  int // how many incidents a test leaves open when it is not resolved as well; 0: none

	Acks bool // it shows that somebody has taken an alert over

	// base is where requests begin, for providers that are at one place; nil: at the address in the settings.
	base func(set settings) string
	// prepare puts into new settings what nobody types.
	prepare func(set settings) error
	// send makes one attempt.
	send func(ctx context.Context, s *shot) error
}

// field is one setting of a kind.
type field struct {
	ui.Field
	Secret bool                // sealed like all of them, and never shown again whole
	URL    bool                // an address that we will send to
	Check  func(string) string // what is wrong with a value; empty: nothing
}

func (f field) offers(v string) bool {
	return slices.ContainsFunc(f.Options, func(o ui.Option) bool { return o.Value == v })
}

func (k kind) field(name string) (field, bool) {
	i := slices.IndexFunc(k.Fields, func(f field) bool { return f.Name == name })
	if i < 0 {
		return field{}, false
	}
	return k.Fields[i], true
}

// Numbered are the steps with their numbers.
func (k kind) Numbered() []string {
	out := make([]string, len(k.Steps))
	for i, step := range k.Steps {
		out[i] = strconv.Itoa(i+1) + ". " + step
	}
	return out
}

// kinds are all sorts of channels, as the page offers them.
func kinds() []kind {
	return []kind{
		emailKind(), webhookKind(), alertmanagerKind(), slackKind(), slackBotKind(), discordKind(), teamsKind(), telegramKind(), mattermostKind(),
		matrixKind(), pagerdutyKind(), opsgenieKind(), pushoverKind(), ntfyKind(), webpushKind(),
	}
}

func kindNamed(key string) (kind, bool) {
	for _, k := range append(kinds(), ownersKind()) {
		if k.Key == key {
			return k, true
		}
	}
	return kind{}, false
}

// masked is a value as it may be shown.
func (f field) masked(v string) string {
	if !f.Secret {
		return v
	}
	end := ""
	if len(v) >= 16 {
		end = v[len(v)-4:]
	}
	if u, err := url.Parse(v); f.URL && err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host + "/…" + end
	}
	return "…" + end
}

// text, secret and choice are fields of a form.

func text(name, label, hint, placeholder string) field {
	return field{Field: ui.Field{Name: name, Label: label, Hint: hint, Placeholder: placeholder, Required: true, MaxLength: maxSetting, Autocomplete: "off"}}
}

func secret(name, label, hint string) field {
	return field{Secret: true, Field: ui.Field{Name: name, Label: label, Hint: hint, Kind: "password", Required: true, MaxLength: maxSetting, Autocomplete: "off"}}
}

func secretURL(name, label, hint string) field {
	f := secret(name, label, hint)
	f.URL = true
	return f
}

func optional(f field) field { f.Required = false; return f }

func checked(f field, check func(string) string) field { f.Check = check; return f }

func choice(name, label, value string, options ...ui.Option) field {
	return field{Field: ui.Field{Name: name, Label: label, Kind: "select", Value: value, Required: true, Options: options}}
}
