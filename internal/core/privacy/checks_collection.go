package privacy

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/platform/httpx"
)

// checkDataMap (COL-1) compares the data map with the live schema.
func checkDataMap(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	if len(in.Databases) == 0 {
		return Result{}, errNoSource("database")
	}
	schema, err := CompareSchema(ctx, in.Map, in.Databases)
	if err != nil {
		return Result{}, err
	}
	f.count("live_tables", schema.Tables)
	f.count("live_columns", schema.Columns)
	f.count("collections", int64(len(in.Map.Collections())))
	f.count("differences", int64(len(schema.Findings)))
	for _, found := range append(schema.Findings, in.Map.Validate(in.Databases)...) {
		f.bad("%s", found)
	}
	return f.result("What is stored and what is declared differ."), nil
}

// jobsModule is the module that declares job telemetry.
const jobsModule = "jobs"

// checkTelemetry (COL-2) looks at what the Jobs app declares and at the payload policy of its projects.
func checkTelemetry(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	if len(in.Map.Of(jobsModule)) == 0 {
		return notApplicable("The Jobs app is off."), nil
	}
	declared := in.Map.With("COL-2")
	f.count("collections", int64(len(declared)))
	for _, category := range []Category{Telemetry, Content} {
		has := func(c Collection) bool {
			return slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Category == category })
		}
		if !slices.ContainsFunc(declared, has) {
			f.bad("%s", lacking("COL-2", []string{string(category)}))
		}
	}
	if in.Payloads == nil {
		return Result{}, errNoSource("payload policies")
	}
	state, err := in.Payloads.PayloadPolicies(ctx)
	if err != nil {
		return Result{}, err
	}
	f.count("projects_full", state.Full)
	f.count("projects_keys_only", state.KeysOnly)
	f.count("projects_none", state.None)
	f.count("projects_undecided", state.Undecided)
	f.count("payloads_against_policy", state.Violations)
	if state.Undecided > 0 || state.Violations > 0 {
		f.bad("payload policies are not followed everywhere")
	}
	return f.result("Job data is stored that is not declared, or against a project's payload policy."), nil
}

// checkIngestNeedsKey (COL-8) looks for routes on which machines report without a key, and for collections of what
// they report that are missing from the export.
func checkIngestNeedsKey(_ context.Context, in *Inspection) (Result, error) {
	var f finding
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	for _, r := range routes {
		if r.Rate != httpx.RateIngest {
			continue
		}
		f.count("ingest_routes", 1)
		// Handled is for peers' protocols with their own way to send the key; their handlers have tests of their own.
		if !(r.Access == httpx.APIKey && r.Scope != "") && r.Access != httpx.Handled {
			f.bad("%s takes reports from anybody", routeName(r))
		}
	}
	for _, c := range in.Map.With("COL-8") {
		f.count("collections", 1)
		if c.Export == nil && c.NoExport == "" {
			f.bad("%s is not in the export", c.Name)
		}
	}
	if f.counts["ingest_routes"] == 0 {
		return notApplicable("Nothing can report to this server."), nil
	}
	return f.result("Somebody without a key can report, or what is reported is missing from the export."), nil
}

// checkAccessLog (COL-11) wants a declared access log with a limit, and no secret in the URLs that it holds.
func checkAccessLog(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	logs := in.Map.With("COL-11")
	f.count("logs", int64(len(logs)))
	if len(logs) == 0 {
		f.bad("no access log is declared")
	}
	for _, c := range logs {
		if c.Sweep == nil || c.MaxAge == nil {
			f.bad("%s has no limit of age", c.Name)
		}
	}
	urls, err := in.columns(ctx, func(c Collection, f Field) bool {
		return slices.Contains(c.Promises, "COL-11") && named(f, "url", "path", "uri", "query", "referrer", "referer")
	})
	if err != nil {
		return Result{}, err
	}
	secrets := in.secretPaths()
	for _, column := range urls {
		err := column.each(ctx, "", func(value []byte) {
			f.count("urls", 1)
			if leaks(string(value), secrets) {
				f.count("urls_with_secrets", 1)
			}
		})
		if err != nil {
			return Result{}, err
		}
	}
	if f.counts["urls_with_secrets"] > 0 {
		f.bad("secrets stand in logged URLs")
	}
	return f.result("The access log is not declared, has no limit, or holds secrets from URLs."), nil
}

// redactedMark is what the access log writes in place of a secret; a URL may be cut off within it.
const redactedMark = "[redacted]"

// secretParameter matches the query parameters whose value must not be logged. It is written down a second time, apart
// from the code that redacts, because a check that shared the list would share its gaps.
var secretParameter = regexp.MustCompile(`(?i)(^|[_.-])(token|code|key|apikey|secret|password|passwd|sig|signature)$`)

// apiKeyShape is an API key of ours; a queue that is called kept_mails is none.
var apiKeyShape = regexp.MustCompile(apiKeyPrefix + `[A-Za-z0-9_-]{16,}`)

// leaks tells whether a logged URL holds a secret: in a parameter, in a part of the path that a route declares as
// secret, or as one of our own API keys.
func leaks(logged string, secretPaths []*regexp.Regexp) bool {
	path, query, _ := strings.Cut(logged, "?")
	if apiKeyShape.MatchString(logged) {
		return true
	}
	for _, pattern := range secretPaths {
		for i, part := range pattern.FindStringSubmatch(path) {
			if i > 0 && !isRedacted(part) {
				return true
			}
		}
	}
	for _, pair := range strings.FieldsFunc(query, func(c rune) bool { return c == '&' || c == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if secretParameter.MatchString(name) && !isRedacted(value) {
			return true
		}
	}
	return false
}

func isRedacted(value string) bool {
	if plain, err := url.PathUnescape(value); err == nil {
		value = plain
	}
	return value == "" || strings.HasPrefix(redactedMark, value)
}

// secretPaths turns the routes that declare secrets in their path into patterns that capture those.
func (in *Inspection) secretPaths() []*regexp.Regexp {
	if in.Routes == nil {
		return nil
	}
	var out []*regexp.Regexp
	for _, r := range in.Routes.Table() {
		if len(r.Secrets) > 0 {
			out = append(out, pathPattern(r))
		}
	}
	return out
}

func pathPattern(r httpx.Route) *regexp.Regexp {
	var pattern strings.Builder
	for i, segment := range strings.Split(r.Path, "/") {
		if i > 0 {
			pattern.WriteString("/")
		}
		name, wild := strings.CutPrefix(segment, "{")
		name = strings.TrimSuffix(name, "}")
		rest := strings.HasSuffix(name, "...")
		part := regexp.QuoteMeta(segment)
		if wild && rest {
			part = ".*"
		} else if wild {
			part = "[^/]+"
		}
		if wild && slices.Contains(r.Secrets, strings.TrimSuffix(name, "...")) {
			part = "(" + part + ")"
		}
		pattern.WriteString(part)
	}
	return regexp.MustCompile("^" + pattern.String() + "/?$")
}

// cardShape matches what may be a card number: 13 to 19 digits, perhaps in groups. The first digit is that of a card
// network, which sets card numbers apart from times in microseconds.
var cardShape = regexp.MustCompile(`\b[2-6](?:[ -]?\d){12,18}\b`)

// checkCards (COL-14) looks for card numbers in what is declared as billing data.
func checkCards(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	columns, err := in.columns(ctx, func(_ Collection, f Field) bool { return f.Category == Billing })
	if err != nil {
		return Result{}, err
	}
	if len(columns) == 0 {
		return notApplicable("Nothing about payment is stored."), nil
	}
	f.count("columns", int64(len(columns)))
	for _, column := range columns {
		err := column.each(ctx, "", func(value []byte) {
			f.count("values", 1)
			if slices.ContainsFunc(cardShape.FindAllString(string(value), -1), luhn) {
				f.count("like_cards", 1)
			}
		})
		if err != nil {
			return Result{}, err
		}
	}
	if f.counts["like_cards"] > 0 {
		f.bad("values look like card numbers")
	}
	return f.result("Something that looks like a card number is stored."), nil
}

// luhn tells whether the digits of s pass the check that card numbers pass (ISO/IEC 7812-1).
func luhn(s string) bool {
	sum, double := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		d := int(s[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}

// checkCookies (COL-15) wants no cookie but the session's, and that one out of reach of scripts and other sites.
func checkCookies(_ context.Context, in *Inspection) (Result, error) {
	var f finding
	if len(in.Facts.Cookies) == 0 {
		return Result{}, errNoSource("list of cookies")
	}
	for _, c := range in.Facts.Cookies {
		f.count("cookies", 1)
		if c.Name != httpx.SessionCookie {
			f.bad("%s is set beside the session cookie", c.Name)
		}
		if !c.HttpOnly {
			f.bad("%s can be read by scripts", c.Name)
		}
		if c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
			f.bad("%s is sent from other sites", c.Name)
		}
		if !c.Secure && (in.Facts.TLS.Served || in.Facts.TLS.Public) {
			f.bad("%s is also sent without TLS", c.Name)
		}
	}
	return f.result("A cookie is set that is not declared, or lacks an attribute that protects it."), nil
}
