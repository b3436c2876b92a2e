package privacy

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// checkCase changes one thing in a world in which everything is kept.
type checkCase struct {
	promise string
	name    string
	change  func(t *testing.T, w *world)
	want    Outcome
}

// drop leaves out the collections of a module.
func drop(module string) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		w.edit(func(c *Collection) bool { return c.Module != module })
	}
}

// edit changes the declarations: f changes each, and leaves it out by answering false.
func (w *world) edit(f func(*Collection) bool) {
	before := w.sources.Collections
	w.sources.Collections = func() []Collection {
		var out []Collection
		for _, c := range before() {
			if f(&c) {
				out = append(out, c)
			}
		}
		return out
	}
	w.build()
}

func editTable(name string, f func(*Collection)) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		w.edit(func(c *Collection) bool {
			if c.Name == name {
				f(c)
			}
			return true
		})
	}
}

func sql(text string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) { t.Helper(); w.exec(t, text) }
}

func visit(path string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) { t.Helper(); w.logURL(t, path) }
}

func route(r httpx.Route) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) { w.routes = append(w.routes, r) }
}

func facts(f func(*Facts)) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) { f(&w.sources.Facts); w.build() }
}

func old(ws kernel.WorkspaceID, age time.Duration) func(*testing.T, *world) {
	return func(t *testing.T, w *world) { t.Helper(); w.event(t, ws, age, sealed()) }
}

func selfHosted(limit time.Duration) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		for _, ws := range w.workspaces {
			w.plans[ws], _ = SelfHosted{Plan{JobEvents: limit}}.PlanOf(context.Background(), ws)
		}
		w.plans[""] = w.plans[wsA]
	}
}

var checkCases = []checkCase{
	{"COL-1", "undeclared column", sql(`ALTER TABLE accounts ADD COLUMN shoe_size TEXT`), Broken},
	{"COL-1", "undeclared table", sql(`CREATE TABLE notes (id INTEGER)`), Broken},
	{"COL-1", "declared and missing", sql(`DROP TABLE invoices`), Broken},
	{"COL-1", "declared column is missing", editTable("accounts", func(c *Collection) { c.Fields = append(c.Fields, Field{"height", Identity, ""}) }), Broken},
	{"COL-1", "incomplete declaration", editTable("accounts", func(c *Collection) { c.Purpose = "" }), Broken},
	{"COL-2", "no payload declared", editTable("job_events", func(c *Collection) { c.Fields = c.Fields[:3] }), Broken},
	{"COL-2", "payload against the policy", func(_ *testing.T, w *world) { w.payloads.Violations = 1 }, Broken},
	{"COL-2", "project without a policy", func(_ *testing.T, w *world) { w.payloads.Undecided = 1 }, Broken},
	{"COL-2", "app is off", drop("jobs"), NotApplicable},
	{"COL-2", "no source", func(_ *testing.T, w *world) { w.sources.Payloads = nil; w.build() }, Failed},
	{"COL-8", "ingest without a key", route(httpx.Route{Method: "POST", Path: "/x", Access: httpx.Public, Rate: httpx.RateIngest}), Broken},
	{"COL-8", "not exported", editTable("job_events", func(c *Collection) { c.Export = nil }), Broken},
	{"COL-8", "nothing reports", func(_ *testing.T, w *world) { w.routes = w.routes[:2] }, NotApplicable},
	{"COL-11", "not declared", drop("httpx"), Broken},
	{"COL-11", "no limit", editTable("access_log", func(c *Collection) { c.Sweep, c.MaxAge = nil, nil }), Broken},
	{"COL-11", "token in a parameter", visit("/verify?x=1&token=abc"), Broken},
	{"COL-11", "escaped name of a parameter", visit("/verify?%74oken=abc"), Broken},
	{"COL-11", "secret in the path", visit("/reset/abcdef"), Broken},
	{"COL-11", "key in the path", visit("/x/kept_1234567890abcdefghij"), Broken},
	{"COL-11", "name that begins like a key", visit("/jobs?queue=kept_emails"), Kept},
	{"COL-11", "client secret", visit("/cb?client_secret=abc;z=1"), Broken},
	{"COL-14", "card number", sql(`UPDATE invoices SET address = 'card 4111 1111 1111 1111, exp 12/30'`), Broken},
	{"COL-14", "card number without spaces", sql(`UPDATE invoices SET address = '5500005555555559'`), Broken},
	{"COL-14", "other number", sql(`UPDATE invoices SET address = '4111111111111112'`), Kept},
	{"COL-14", "time in microseconds", sql(`UPDATE invoices SET address = '1772000000000007'`), Kept},
	{"COL-14", "no billing", drop("billing"), NotApplicable},
	{"COL-15", "second cookie", facts(func(f *Facts) {
		f.Cookies = append(f.Cookies, http.Cookie{Name: "theme", HttpOnly: true, SameSite: 2, Secure: true})
	}), Broken},
	{"COL-15", "readable by scripts", facts(func(f *Facts) { f.Cookies[0].HttpOnly = false }), Broken},
	{"COL-15", "sent from other sites", facts(func(f *Facts) { f.Cookies[0].SameSite = http.SameSiteNoneMode }), Broken},
	{"COL-15", "without TLS", facts(func(f *Facts) { f.Cookies[0].Secure = false }), Broken},
	{"COL-15", "no TLS at all", facts(func(f *Facts) { f.Cookies[0].Secure = false; f.TLS = TLSFact{} }), Kept},
	{"COL-15", "no source", facts(func(f *Facts) { f.Cookies = nil }), Failed},
	{"USE-3", "unlisted host", facts(func(f *Facts) { f.Outbound = append(f.Outbound, Outbound{Host: "api.example.net", Setting: "x"}) }), Broken},
	{"USE-3", "processor not in use", editTable("accounts", func(c *Collection) { c.Processor = "Somebody" }), Kept},
	{"USE-3", "processor that is no longer listed", facts(func(f *Facts) { f.Processors = nil }), Broken},
	{"USE-3", "listed without a purpose", facts(func(f *Facts) { f.Processors[0].Purpose = "" }), Broken},
	{"USE-3", "recipients that workspaces chose", func(_ *testing.T, w *world) { w.recipients = RecipientState{Workspaces: 2, Hosts: 5} }, Kept},
	{"USE-3", "a channel that does not say where it sends", func(_ *testing.T, w *world) { w.recipients.Unknown = 1 }, Broken},
	{"USE-3", "a request to a host that nobody chose", func(_ *testing.T, w *world) { w.recipients.Refused = 1 }, Broken},
	{"USE-3", "no source of recipients", func(_ *testing.T, w *world) { w.sources.Recipients = nil; w.build() }, Failed},
	{"USE-4", "marketing without opt-in", func(_ *testing.T, w *world) { w.mail[1].OptIn = false }, Broken},
	{"USE-4", "nothing declared", func(_ *testing.T, w *world) { w.mail = nil }, Broken},
	{"USE-4", "no source", func(_ *testing.T, w *world) { w.sources.Mail = nil; w.build() }, Failed},
	{"USE-6", "no page", func(_ *testing.T, w *world) { w.routes = w.routes[:len(w.routes)-1] }, Broken},
	{"USE-6", "no mail", func(_ *testing.T, w *world) { w.mail = w.mail[:2] }, Broken},
	{"USE-6", "owners were not mailed", func(_ *testing.T, w *world) { w.notices.Untold = 1 }, Broken},
	{"USE-6", "nobody can publish to others", func(_ *testing.T, w *world) { w.notices.Speaks = false }, Broken},
	{"USE-6", "nobody can publish, and there is nobody else", func(_ *testing.T, w *world) { w.notices.Speaks, w.workspaces = false, w.workspaces[:1] }, Kept},
	{"USE-6", "no source", func(_ *testing.T, w *world) { w.sources.Notices = nil; w.build() }, Failed},
	{"USE-6", "source fails", func(_ *testing.T, w *world) { w.failing = context.DeadlineExceeded }, Failed},
	{"USE-7", "lenient", route(httpx.Route{Method: "POST", Path: "/sign-up", Access: httpx.Public, Rate: httpx.RatePage}), Broken},
	{"USE-7", "sign-in not throttled", func(_ *testing.T, w *world) { w.routes[3].Rate = httpx.RateWrite }, Broken},
	{"USE-8", "used without notice", func(_ *testing.T, w *world) { w.agreements.WithoutNotice = []string{"Example Mail"} }, Broken},
	{"USE-8", "no agreement to be had", func(_ *testing.T, w *world) { w.routes = w.routes[:2] }, Broken},
	{"USE-8", "no source", func(_ *testing.T, w *world) { w.sources.Agreements = nil; w.build() }, Failed},
	{"USE-8", "source fails", func(_ *testing.T, w *world) { w.failing = context.DeadlineExceeded }, Failed},
	{"RET-1", "free, 8 days", old(wsA, 8*day), Broken},
	{"RET-1", "free, within the sweep's interval", old(wsA, 7*day+30*time.Minute), Kept},
	{"RET-1", "pro, 8 days", old(wsB, 8*day), Kept},
	{"RET-1", "pro, 91 days", old(wsB, 91*day), Broken},
	{"RET-1", "free with a longer limit", editTable("job_events", func(c *Collection) { c.MaxAge = Fixed(90 * day) }), Broken},
	{"RET-1", "free for ever", editTable("job_events", func(c *Collection) { c.MaxAge = Fixed(0) }), Broken},
	{"RET-1", "no limit", editTable("job_events", func(c *Collection) { c.MaxAge, c.Sweep = nil, nil }), Broken},
	{"RET-1", "nobody can tell", editTable("job_events", func(c *Collection) { c.Oldest = nil }), Broken},
	{"RET-1", "takes no part", editTable("job_events", func(c *Collection) { c.Promises = nil }), Broken},
	{"RET-1", "self-hosted for ever", selfHosted(0), NotApplicable},
	{"RET-1", "self-hosted, within", selfHosted(400 * day), Kept},
	{"RET-1", "self-hosted, of no workspace", func(t *testing.T, w *world) { selfHosted(400*day)(t, w); w.event(t, "gone", 401*day, nil) }, Broken},
	{"RET-1", "app is off", drop("jobs"), NotApplicable},
	{"RET-1", "sources fail", func(_ *testing.T, w *world) { w.failing = context.DeadlineExceeded }, Failed},
	{"RET-2", "free, 8 days", replaying("RET-2"), Broken},
	{"RET-3", "free, 31 days", replaying("RET-3"), Broken},
	{"RET-4", "13 months", sql(`UPDATE audit_events SET at = at - 34300000000000`), Broken},
	{"RET-4", "for ever", editTable("audit_events", func(c *Collection) { c.MaxAge = Fixed(0) }), Broken},
	{"RET-4", "no audit log", drop("audit"), Broken},
	{"RET-5", "6 years", editTable("invoices", func(c *Collection) { c.MaxAge = Fixed(6 * 365 * day) }), Broken},
	{"RET-5", "no billing", drop("billing"), NotApplicable},
	{"RET-7", "91 days", sql(`UPDATE access_log SET at = at - 7862400000000`), Broken},
	{"RET-7", "2 years", editTable("access_log", func(c *Collection) { c.MaxAge = Fixed(730 * day) }), Broken},
	{"RET-7", "no log declared", drop("httpx"), Broken},
	{"SEC-1", "plain", sql(`UPDATE accounts SET password_hash = 'hunter2' WHERE id = 'c'`), Broken},
	{"SEC-1", "bcrypt", sql(`UPDATE accounts SET password_hash = '$2a$10$abcdefghijklmnopqrstuv' WHERE id = 'c'`), Broken},
	{"SEC-1", "argon2i", sql(`UPDATE accounts SET password_hash = replace(password_hash, 'argon2id', 'argon2i')`), Broken},
	{"SEC-1", "too cheap", sql(`UPDATE accounts SET password_hash = replace(password_hash, 'm=19456', 'm=64')`), Broken},
	{"SEC-1", "one salt for all", sql(`UPDATE accounts SET password_hash = replace(password_hash, 'c2FsdHNhbHRzYWx0c2Fs', 'b3RoZXJzYWx0c2FsdHNh')`), Broken},
	{"SEC-1", "not a secret", editTable("accounts", func(c *Collection) { c.Fields[2].Category = Technical }), Broken},
	{"SEC-1", "no accounts", drop("identity"), NotApplicable},
	{"SEC-2", "secret in the clear", func(t *testing.T, w *world) {
		w.exec(t, `UPDATE totp SET sealed = $1`, []byte("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSWY3DP"))
	}, Broken},
	{"SEC-2", "recovery code in the clear", func(t *testing.T, w *world) {
		w.exec(t, `UPDATE recovery_codes SET code_hash = $1`, []byte("abcd-efgh-ijkl"))
	}, Broken},
	{"SEC-2", "passkey with its private key", func(t *testing.T, w *world) {
		w.exec(t, `UPDATE passkeys SET public_key = $1`, coseKey(0x23, 0x40))
	}, Broken},
	{"SEC-2", "passkey that is no key", func(t *testing.T, w *world) { w.exec(t, `UPDATE passkeys SET public_key = $1`, make([]byte, 77)) }, Broken},
	{"SEC-2", "passkey with a tail", func(t *testing.T, w *world) { w.exec(t, `UPDATE passkeys SET public_key = $1`, append(coseKey(), 0)) }, Broken},
	{"SEC-2", "nothing stored", drop("identity"), NotApplicable},
	{"SEC-3", "personal token in the clear", sql(`UPDATE api_keys SET shown = 'keptp_abcd1234efgh5678ijkl' WHERE id = 'a'`), Broken},
	{"SEC-7", "an hour of access", sql(`UPDATE mobile_tokens SET access_until = created_at + 3600000000`), Broken},
	{"SEC-7", "two refresh tokens that work", sql(`UPDATE mobile_tokens SET used_at = 0`), Broken},
	{"SEC-7", "two sign-ins", func(t *testing.T, w *world) {
		w.exec(t, `UPDATE mobile_tokens SET login_id = 'm' WHERE used_at = 0`)
		w.exec(t, `UPDATE mobile_tokens SET used_at = 0`)
	}, Kept},
	{"SEC-7", "refresh token in the clear", func(t *testing.T, w *world) {
		w.exec(t, `UPDATE mobile_tokens SET refresh_hash = $1 WHERE used_at = 0`, []byte("keptr_abcd1234efgh5678ijkl901234"))
	}, Broken},
	{"SEC-7", "nothing is what it should be", editTable("mobile_tokens", func(c *Collection) { c.Fields = c.Fields[1:2] }), Broken},
	{"SEC-7", "no app", drop("identity"), NotApplicable},
	{"SEC-8", "no permission named", route(httpx.Route{Method: "GET", Path: "/w/{ws}/x", Access: httpx.Member, Rate: httpx.RatePage}), Broken},
	{"SEC-8", "key's route without a permission", route(httpx.Route{Method: "GET", Path: "/api/v1/x", Access: httpx.APIKey, Scope: "read", Rate: httpx.RatePage}), Broken},
	{"SEC-8", "offered to a person", route(httpx.Route{Method: "GET", Path: "/account/transfers/{ws}", Access: httpx.SignedIn, Rate: httpx.RatePage}), Kept},
	{"SEC-8", "role that there is not", sql(`UPDATE memberships SET role = 'root'`), Broken},
	{"SEC-9", "somebody too young", func(_ *testing.T, w *world) { w.underage = 1 }, Broken},
	{"SEC-9", "no app has a minimum", func(_ *testing.T, w *world) { w.minAge, w.underage = 0, 9 }, NotApplicable},
	{"SEC-9", "no source", func(_ *testing.T, w *world) { w.sources.Ages = nil; w.build() }, Failed},
	{"SEC-9", "source fails", func(_ *testing.T, w *world) { w.failing = context.DeadlineExceeded }, Failed},
	{"RGT-6", "key without a proof", func(_ *testing.T, w *world) { w.routes[2].StepUp = false }, Broken},
	{"RGT-6", "export without a proof", route(httpx.Route{Method: "POST", Path: "/account/export", Access: httpx.SignedIn, Rate: httpx.RateWrite, Audit: "export.request"}), Broken},
	{"RGT-6", "something else without a proof", route(httpx.Route{Method: "POST", Path: "/account/name", Access: httpx.SignedIn, Rate: httpx.RateWrite, Audit: "account.rename"}), Kept},
	{"RGT-6", "nothing of the kind", func(_ *testing.T, w *world) { w.routes = w.routes[:2] }, NotApplicable},
	{"SEC-3", "key in the clear", sql(`UPDATE api_keys SET shown = 'kept_abcd1234efgh5678ijkl' WHERE id = 'a'`), Broken},
	{"SEC-3", "hash is the key", func(t *testing.T, w *world) { w.exec(t, `UPDATE api_keys SET key_hash = $1`, []byte("kept_abcd1234")) }, Broken},
	{"SEC-3", "short hash", func(t *testing.T, w *world) { w.exec(t, `UPDATE api_keys SET key_hash = $1`, []byte("0123")) }, Broken},
	{"SEC-3", "no hash declared", editTable("api_keys", func(c *Collection) { c.Fields[3].Category = Technical }), Broken},
	{"SEC-3", "no keys", drop("identity"), NotApplicable},
	{"SEC-4", "JSON in the clear", func(t *testing.T, w *world) { w.event(t, wsA, 0, []byte(`{"card":"4111 and enough to be long"}`)) }, Broken},
	{"SEC-4", "too short to be sealed", func(t *testing.T, w *world) { w.event(t, wsA, 0, []byte{1, 2, 3}) }, Broken},
	{"SEC-4", "text", editTable("job_events", func(c *Collection) { c.Fields[2].Category = Content }), Broken},
	{"SEC-4", "old TLS", facts(func(f *Facts) { f.TLS.Minimum = tls.VersionTLS11 }), Broken},
	{"SEC-4", "TLS ends before us", facts(func(f *Facts) { f.TLS = TLSFact{Public: true} }), Kept},
	{"SEC-5", "no class", route(httpx.Route{Method: "GET", Path: "/x"}), Broken},
	{"SEC-5", "unlimited write", route(httpx.Route{Method: "POST", Path: "/x", Rate: httpx.RateNone}), Broken},
	{"SEC-5", "no table", func(_ *testing.T, w *world) { w.routes = nil }, Failed},
	{"SEC-6", "not audited", route(httpx.Route{Method: "DELETE", Path: "/x"}), Broken},
	{"SEC-6", "tampered with", func(_ *testing.T, w *world) { w.auditBad = 1 }, Broken},
	{"SEC-6", "unreadable", func(_ *testing.T, w *world) { w.failing = context.DeadlineExceeded }, Failed},
	{"SEC-8", "open to all", route(httpx.Route{Method: "GET", Path: "/w/{ws}/x", Access: httpx.Public}), Broken},
	{"SEC-8", "any account", route(httpx.Route{Method: "GET", Path: "/w/{ws}/x", Access: httpx.SignedIn}), Broken},
	{"SEC-8", "does not say", route(httpx.Route{Method: "GET", Path: "/x"}), Broken},
}

// replaying declares job events as data of an app that does not exist yet, too old for its promise.
func replaying(promise string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.event(t, wsA, 40*day, sealed())
		editTable("job_events", func(c *Collection) {
			c.Promises = []string{promise}
			c.MaxAge = Fixed(30 * day)
		})(t, w)
	}
}

// TestChecks uses one database for all cases, emptied in between: making a database for each takes PostgreSQL a minute.
func TestChecks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, c := range checkCases {
			t.Run(c.promise+" "+c.name, func(t *testing.T) {
				dropTables(t, d)
				w := newWorld(t, d)
				c.change(t, w)
				if r := w.inspect(t, c.promise); r.Outcome != c.want {
					t.Errorf("%s is %s, want %s: %s %v", c.promise, r.Outcome, c.want, r.Reason, r.Evidence)
				} else if r.Outcome == Broken && (r.Reason == "" || len(r.Evidence.Notes) == 0) {
					t.Errorf("%s is broken and does not say how: %+v", c.promise, r)
				}
			})
		}
	})
}

func dropTables(t *testing.T, d *db.DB) {
	t.Helper()
	tables, err := d.Columns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		for table := range tables {
			if _, err := tx.Exec(t.Context(), `DROP TABLE `+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingIsKeptInAWorldInOrder(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		for _, p := range Promises() {
			want := Kept
			switch {
			case p.Check == nil:
				want = NoCheck
			case p.ID == "RET-2" || p.ID == "RET-3":
				want = NotApplicable // the world has neither recordings nor metrics
			}
			if r := w.inspect(t, p.ID); r.Outcome != want {
				t.Errorf("%s is %s, want %s: %s %v", p.ID, r.Outcome, want, r.Reason, r.Evidence)
			}
		}
	})
}

// A check that nobody has seen fail proves nothing.
func TestEveryCheckHasACaseInWhichItSaysBroken(t *testing.T) {
	t.Parallel()
	for _, p := range Promises() {
		broken := slices.ContainsFunc(checkCases, func(c checkCase) bool { return c.promise == p.ID && c.want == Broken })
		if p.Check != nil && !broken {
			t.Errorf("%s has a check and no case in checkCases that breaks it", p.ID)
		}
	}
}

func TestLuhn(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"4111 1111 1111 1111", "378282246310005", "6011111111111117", "5105-1051-0510-5100"} {
		if !luhn(number) {
			t.Errorf("%s is a card number of the networks' test sets", number)
		}
	}
	if luhn("4111 1111 1111 1112") {
		t.Error("a wrong check digit passes")
	}
}

func FuzzLeaks(f *testing.F) {
	f.Add("/a?token=abc")
	f.Add("/reset/abc?;;==&%zz=1")
	secrets := (&Inspection{Sources: Sources{Routes: &world{routes: worldRoutes()}}}).secretPaths()
	f.Fuzz(func(t *testing.T, logged string) {
		if !leaks("/x?"+"password=abc&"+logged, secrets) {
			t.Errorf("a password before %q is not seen", logged)
		}
		leaks(logged, secrets)
	})
}

// FuzzPublicKey reads what a database may hold as a passkey: nothing breaks, and what is a key is no other thing as well.
func FuzzPublicKey(f *testing.F) {
	f.Add(coseKey())
	f.Add(coseKey(0x23, 0x40))
	f.Add([]byte{0xbf, 0xff})
	f.Add([]byte{0xa1, 0x01, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, value []byte) {
		if publicKeyOnly(value) && (publicKeyOnly(append(value, 0)) || publicKeyOnly(value[:len(value)-1])) {
			t.Errorf("%x is a key with and without its last byte", value)
		}
	})
}
