package federation

import "net/http"

// Offer adds a provider that is reached over a transport of the test's.
func (m *Module) Offer(p Provider, transport http.RoundTripper) error {
	m.d.HTTP = &http.Client{Transport: transport}
	return m.add(p)
}

// MaxAnswer is how much is read of an answer, in bytes.
const MaxAnswer = maxAnswer

// Remote is a client as a provider with these hosts has it.
func Remote(transport http.RoundTripper, hosts ...string) *http.Client {
	return newRemote(&http.Client{Transport: transport}, hosts)
}

// ReadPerson reads claims as a preset does.
func ReadPerson(name, issuer string, raw []byte) (Person, error) {
	k, _ := presetOf(name)
	c, err := parseClaims(raw)
	if err != nil {
		return Person{}, err
	}
	return k.person(issuer, c)
}

// Complete checks a provider.
func Complete(p Provider) (Provider, error) {
	p, _, err := p.complete()
	return p, err
}
