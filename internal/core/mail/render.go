package mail

import (
	"embed"
	htmltemplate "html/template"
	"strings"
	"text/template"
	"unicode/utf8"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed templates/message.txt.tmpl
var textSource string

// The HTML form has inline styles, because mail programs know nothing else; it is no page of ours.
//
//go:embed templates/message.htm.tmpl
var htmlSource string

// Message is a mail ready to send.
type Message struct {
	ID      string `json:"-"` // the outbox row; the Message-ID is made of it
	Type    string `json:"-"`
	From    string `json:"-"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
	// Unsubscribe is where one request ends mail of this type to this address (RFC 8058); empty for mail that must come.
	Unsubscribe string `json:"unsubscribe,omitempty"`
	// Thread is what the mail belongs to; see Mail.Thread.
	Thread string `json:"thread,omitempty"`
}

type renderer struct {
	product, baseURL string
	text             *template.Template
	html             *htmltemplate.Template
}

func newRenderer(product, baseURL string) *renderer {
	return &renderer{
		product: product, baseURL: strings.TrimSuffix(baseURL, "/"),
		text: template.Must(template.New("text").Funcs(template.FuncMap{"wrap": wrap}).Parse(textSource)),
		html: htmltemplate.Must(htmltemplate.New("html").Parse(htmlSource)),
	}
}

type messageView struct {
	Content
	Product, BaseURL, Unsubscribe string
}

// message renders both forms. Values come from people in part, so line breaks cannot leave the place they are put in.
func (r *renderer) message(to, unsubscribe string, c Content) (Message, error) {
	c.Subject = oneLine(c.Subject)
	c.Text, c.After = oneLines(c.Text), oneLines(c.After)
	view := messageView{Content: c, Product: r.product, BaseURL: r.baseURL, Unsubscribe: unsubscribe}
	var text, html strings.Builder
	if err := r.text.Execute(&text, view); err != nil {
		return Message{}, err
	}
	if err := r.html.Execute(&html, view); err != nil {
		return Message{}, err
	}
	return Message{To: to, Subject: c.Subject, Text: text.String(), HTML: html.String(), Unsubscribe: unsubscribe}, nil
}

// textWidth is how long the lines of the text form are; a longer word, such as an address, has one to itself.
const textWidth = 72

func wrap(s string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > textWidth:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func oneLines(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = oneLine(s)
	}
	return out
}
