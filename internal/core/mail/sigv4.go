package mail

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// awsKey is an access key and what it signs for. AWS's own SDK would do this too, for the price of fifteen modules.
type awsKey struct {
	id, secret, session string // session is of temporary credentials
	region, service     string
}

const (
	awsAlgorithm = "AWS4-HMAC-SHA256"
	awsTime      = "20060102T150405Z"
)

// sign puts the headers of AWS's Signature Version 4 on a request. Every header that it has by then is signed.
func (k awsKey) sign(r *http.Request, body []byte, at time.Time) {
	at = at.UTC()
	r.Header.Set("X-Amz-Date", at.Format(awsTime))
	if k.session != "" {
		r.Header.Set("X-Amz-Security-Token", k.session)
	}
	signed, canonical := canonicalRequest(r, body)
	scope := strings.Join([]string{at.Format("20060102"), k.region, k.service, "aws4_request"}, "/")
	toSign := strings.Join([]string{awsAlgorithm, at.Format(awsTime), scope, hexSum(canonical)}, "\n")
	r.Header.Set("Authorization", awsAlgorithm+" Credential="+k.id+"/"+scope+", SignedHeaders="+signed+
		", Signature="+hex.EncodeToString(hmacSum(k.derive(at), toSign)))
}

// derive makes the day's signing key.
func (k awsKey) derive(at time.Time) []byte {
	key := []byte("AWS4" + k.secret)
	for _, part := range []string{at.Format("20060102"), k.region, k.service, "aws4_request"} {
		key = hmacSum(key, part)
	}
	return key
}

func canonicalRequest(r *http.Request, body []byte) (signed, text string) {
	values := map[string]string{"host": r.Host}
	if r.Host == "" {
		values["host"] = r.URL.Host
	}
	for name, all := range r.Header {
		if name = strings.ToLower(name); name == "authorization" {
			continue
		}
		trimmed := make([]string, len(all))
		for i, v := range all {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		values[name] = strings.Join(trimmed, ",")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	var headers strings.Builder
	for _, name := range names {
		headers.WriteString(name + ":" + values[name] + "\n")
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	signed = strings.Join(names, ";")
	return signed, strings.Join([]string{r.Method, path, canonicalQuery(r.URL.Query()), headers.String(), signed, hexSum(string(body))}, "\n")
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, awsEscape(name)+"="+awsEscape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func awsEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func hmacSum(key []byte, s string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(s))
	return mac.Sum(nil)
}
