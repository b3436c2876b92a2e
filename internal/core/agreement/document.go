package agreement

import (
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/core/privacy"
)

// Current is the agreement that a customer would sign now: the clauses that GDPR Art. 28(3) asks for, with what the program
// knows of itself filled in.
func (m *Module) Current(customer string) Document {
	operator := m.d.Operator
	if operator == "" {
		operator = "Whoever operates the server at " + m.d.BaseURL
	}
	data := m.d.Map()
	return Document{Operator: operator, Customer: customer, Sections: []Section{
		{Title: "Parties and subject", Text: []string{
			operator + " (the processor) runs Kept for the customer named above (the controller) and processes personal data on its behalf, for as long as the workspace exists.",
			"The purpose is to provide the apps that the controller turns on; nothing is sold, used for advertising or used for the processor's own ends.",
		}},
		dataSection(data),
		{Title: "Instructions and confidentiality", Text: []string{
			"The processor acts only on documented instructions of the controller: what the controller sets, sends and asks for in the product, and in writing. It says so if it holds an instruction to be unlawful.",
			"Whoever works for the processor with access to the data is bound to confidentiality, and has the least access that the work needs.",
		}},
		{Title: "Security", Text: []string{
			"TLS 1.2 or newer in transit; content sealed with AES-256-GCM under a key of the workspace; passwords hashed with argon2id; API keys stored as hashes.",
			"Roles and isolation per workspace, rate limits on every endpoint, a hash-chained audit log. The promises page of the server shows each measure and when it was last checked.",
		}},
		subprocessorSection(m.d.Processors()),
		{Title: "Help, audits and breaches", Text: []string{
			"The processor helps the controller to answer people who ask for their data, its correction or erasure, and to assess risks.",
			"It tells the controller of a breach of personal data without undue delay, at the latest 72 hours after it learned of it, with what is known of its kind, extent and consequences.",
			"It makes available what is needed to show that this agreement is kept, and allows audits.",
		}},
		{Title: "Return and erasure", Text: []string{
			"On request, and within 30 days of the end of the service, the processor hands over an export of the workspace. It then erases the workspace and destroys its key, which ends what is in backups as well.",
		}},
	}}
}

// dataSection says whose data and which kinds are processed, and for how long, from the declarations of the apps.
func dataSection(data *privacy.Map) Section {
	s := Section{Title: "Data, people and retention", Head: []string{"Data", "About", "Kinds", "Kept"},
		Text: []string{"What is stored, table by table, is on the page about privacy; this is what can be about people."}}
	for _, c := range data.Collections() {
		var kinds []string
		for _, f := range c.Fields {
			switch f.Category {
			case privacy.Identity, privacy.Contact, privacy.Network, privacy.Content, privacy.Diagnostic:
				if kind := string(f.Category); !slices.Contains(kinds, kind) {
					kinds = append(kinds, kind)
				}
			}
		}
		if len(kinds) > 0 {
			s.Rows = append(s.Rows, []string{c.Title, orElse(c.Subjects, "nobody"), strings.Join(kinds, ", "), c.Retention})
		}
	}
	return s
}

func subprocessorSection(list []privacy.Processor) Section {
	s := Section{Title: "Subprocessors", Text: []string{
		"The controller agrees to the subprocessors below. A new one is announced to the owners of the workspace by mail at least 30 days before it is used; the controller may object, and end the service if no way is found.",
	}}
	if len(list) == 0 {
		s.Text = append(s.Text, "At present there is none.")
		return s
	}
	s.Head = []string{"Subprocessor", "Purpose", "Data", "Country"}
	for _, p := range list {
		s.Rows = append(s.Rows, []string{p.Name, p.Purpose, p.Data, orElse(p.Country, "not stated")})
	}
	return s
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
