package federation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/core/identity"
)

// Person is who came back from a provider.
type Person struct {
	Issuer   string // who vouches
	Subject  string // who it is there; the two never change, whatever else does
	Email    string // may be empty
	Verified bool   // the provider knows that the address is the person's own
	Name     string // may be empty
}

// grant is the token that the provider gave us to ask about the person.
type grant struct {
	Access  string    `json:"access"`
	Expires time.Time `json:"expires"` // zero: the provider did not say
}

// Limits of what a provider may say of a person.
const (
	maxSubject = 255 // OpenID Connect: 255 ASCII characters
	maxIDToken = 64 << 10
	maxName    = 100 // characters
)

// claims are what is read of an ID token, or of a userinfo answer.
type claims struct {
	Subject        string `json:"sub"`
	Email          string `json:"email"`
	EmailVerified  truth  `json:"email_verified"`
	DomainVerified truth  `json:"xms_edov"` // Microsoft: the owner of the address's domain was asked
	Name           string `json:"name"`
	Party          string `json:"azp"` // whom the token was made for, if for several
	Tenant         string `json:"tid"` // Microsoft
}

// truth is a boolean as providers write it: true, "true", 1 or "1". Anything else is false.
type truth bool

// UnmarshalJSON never fails: a doubtful yes is a no.
func (t *truth) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `true`, `"true"`, `1`, `"1"`:
		*t = true
	default:
		*t = false
	}
	return nil
}

func parseClaims(raw []byte) (c claims, err error) {
	if len(raw) > maxIDToken {
		return c, errors.New("the claims are too large")
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return claims{}, fmt.Errorf("the claims cannot be read: %w", err)
	}
	return c, nil
}

// person is whom the claims describe, as far as the provider of the preset may be believed.
func (k preset) person(issuer string, c claims) (Person, error) {
	if c.Subject == "" || len(c.Subject) > maxSubject || strings.ContainsFunc(c.Subject, notVisible) {
		return Person{}, errors.New("the claims name nobody")
	}
	p := Person{Issuer: issuer, Subject: c.Subject, Name: oneLine(c.Name)}
	if addr, err := identity.ParseAddress(c.Email); err == nil {
		p.Email, p.Verified = addr.Typed, k.proof(c)
	}
	return p, nil
}

func notVisible(r rune) bool { return r < ' ' || r > '~' }

// oneLine makes a name that can be offered in a form. It is not taken without being shown.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxName {
		s = strings.TrimSpace(string(r[:maxName]))
	}
	return s
}
