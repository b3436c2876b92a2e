package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/kernel"
)

// The lifetimes of tokens.
const (
	minTokenLife     = 5 * time.Minute
	maxTokenLife     = time.Hour
	defaultTokenLife = 15 * time.Minute
	maxFilters       = 20
	maxToken         = 8 << 10 // bytes
)

// Filter is a matcher that every series must meet.
type Filter struct {
	Label string `json:"label"`
	Op    string `json:"op,omitempty"` // "=" (default), "!=", "=~", "!~"
	Value string `json:"value"`
}

// claims is what a token says. It is readable by whoever has it, and cannot be changed without the workspace's key.
type claims struct {
	Issuer     string             `json:"iss"` // "kept"
	Audience   string             `json:"aud"` // "embed"
	Workspace  kernel.WorkspaceID `json:"ws"`
	Generation int64              `json:"gen"` // of the key
	Dashboard  string             `json:"dash"`
	Panels     []string           `json:"panels,omitempty"` // none: all of the dashboard
	Filters    []Filter           `json:"flt"`
	Origins    []string           `json:"org,omitempty"` // none: all of the workspace's
	IssuedAt   int64              `json:"iat"`
	Expires    int64              `json:"exp"`
}

// tokenHeader is the only header that is accepted, byte for byte: there is no choice of algorithm to get wrong.
var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// sign makes a JSON Web Token (RFC 7519) with HMAC-SHA256.
func sign(c claims, key []byte) string {
	body, err := json.Marshal(c)
	if err != nil {
		panic("dashboard: claims are plain data: " + err.Error())
	}
	text := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(mac(text, key))
}

func mac(text string, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

var errBadToken = kernel.Errorf(kernel.Unauthenticated, "The token for this panel is not valid. The page must fetch a new one.")

// unverified reads a token's claims without believing them, to find out whose key to check it with.
func unverified(token string) (c claims, err error) {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 || parts[0] != tokenHeader {
		return c, errBadToken
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil || json.Unmarshal(body, &c) != nil || !kernel.ValidID(string(c.Workspace)) {
		return c, errBadToken
	}
	return c, nil
}

// verify checks a token with the key of the workspace that it names.
func verify(token string, c claims, e embedding, now time.Time) error {
	i := strings.LastIndexByte(token, '.')
	got, err := base64.RawURLEncoding.Strict().DecodeString(token[i+1:])
	switch {
	case e.Generation == 0 || err != nil || !hmac.Equal(got, mac(token[:i], e.key)):
		return errBadToken
	case c.Issuer != "kept" || c.Audience != "embed" || c.Generation != e.Generation:
		return errBadToken
	case now.Unix() >= c.Expires || now.Unix() < c.IssuedAt-60:
		return kernel.Errorf(kernel.Unauthenticated, "The token for this panel has expired. The page must fetch a new one.")
	}
	return nil
}

// allows tells whether a page of an origin may use the token.
func (c claims) allows(origin string, e embedding) bool {
	return origin != "" && slices.Contains(e.Origins, origin) && (len(c.Origins) == 0 || slices.Contains(c.Origins, origin))
}

// shows tells whether the token is good for a panel.
func (c claims) shows(panel string) bool {
	return len(c.Panels) == 0 || slices.Contains(c.Panels, panel)
}

var matchTypes = map[string]labels.MatchType{"": labels.MatchEqual, "=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp}

// matchers turns filters into matchers. A filter that a series without the label would pass is refused: it would let
// through what nobody thought of.
func matchers(filters []Filter) ([]*labels.Matcher, error) {
	if len(filters) > maxFilters {
		return nil, kernel.InvalidField("filters", "At most 20 filters.")
	}
	out := make([]*labels.Matcher, 0, len(filters))
	for _, f := range filters {
		kind, ok := matchTypes[f.Op]
		if !ok || !varName.MatchString(f.Label) || len(f.Value) > maxNote {
			return nil, kernel.InvalidField("filters", "A filter is a label, one of = != =~ !~, and a value.")
		}
		m, err := labels.NewMatcher(kind, f.Label, f.Value)
		if err != nil {
			return nil, kernel.InvalidField("filters", "The filter on "+f.Label+" is no regular expression.")
		}
		if m.Matches("") {
			return nil, kernel.InvalidField("filters", "The filter on "+f.Label+" also lets through series that do not have this label.")
		}
		out = append(out, m)
	}
	return out, nil
}
