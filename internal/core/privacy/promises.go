package privacy

import (
	"slices"
	"time"
)

// Promises is the registry: every promise, in the order of the public page. A promise gets its check here, and nowhere
// else is it known which promises have one.
func Promises() []Promise {
	return slices.Concat(collectingPromises(), usePromises(), retainingPromises(), securingPromises(), rightsPromises())
}

func collectingPromises() []Promise {
	return []Promise{
		{ID: "COL-1", Section: Collecting, By: "JCUPT",
			Text: "The account holds: email, name (first and last optional), organisation name, password hash; for TOTP an " +
				"encrypted secret; for passkeys public keys; for OAuth sign-in encrypted provider tokens; for job seekers a " +
				"location that is typed in or inferred from the IP address as a country",
			Check: checkDataMap,
			Looks: "the live schema of every database against the data map, column by column",
		},
		{ID: "COL-2", Section: Collecting, By: "J",
			Text: "Job telemetry: job ids, queue names, status transitions and times, error messages and stack traces, payloads, " +
				"durations, retry counts, environment tags, trace ids, agent metadata",
			Check:  checkTelemetry,
			Looks:  "that job telemetry is declared, and that no payload is stored against its project's policy",
			NotYet: NotYet{"That every one of these is shown in the product.", "jobs"},
		},
		{ID: "COL-3", Section: Collecting, By: "C",
			Text: "A diagnostic session exists only because a magic link was opened and consent was given; on decline nothing is " +
				"captured or sent",
			NotYet: NotYet{"Recording does not exist yet.", "replay"},
		},
		{ID: "COL-4", Section: Collecting, By: "C",
			Text:   "In a session: DOM snapshots, interactions, network requests, console errors, other diagnostic events",
			NotYet: NotYet{"Recording does not exist yet.", "replay"},
		},
		{ID: "COL-5", Section: Collecting, By: "C",
			Text:   "Password fields and elements with the masking attribute are never transmitted; customers can mask more",
			NotYet: NotYet{"Recording does not exist yet.", "replay"},
		},
		{ID: "COL-6", Section: Collecting, By: "C",
			Text: "Each link carries a reference (customer email or ticket id) so that one person's sessions can be found and " +
				"erased",
			NotYet: NotYet{"Recording does not exist yet.", "replay"},
		},
		{ID: "COL-7", Section: Collecting, By: "C",
			Text:   "Usage metering: session counts, API request logs",
			NotYet: NotYet{"Nothing is metered yet.", "billing"},
		},
		{ID: "COL-8", Section: Collecting, By: "U",
			Text: "Metrics and metadata come only from agents and clients that the customer installed; dashboards, alert rules and " +
				"channels are what the customer made",
			Check: checkIngestNeedsKey,
			Looks: "that machines cannot report without a key, and that what they report, dashboards, rules and channels are exported",
		},
		{ID: "COL-9", Section: Collecting, By: "P",
			Text: "Organiser records: opportunities, companies, contacts, notes; linked to the account, invisible to every other " +
				"user",
			NotYet: NotYet{"The Career app does not exist yet.", "career"},
		},
		{ID: "COL-10", Section: Collecting, By: "T",
			Text:   "Minimal data; no résumé or cover letter is stored by default",
			NotYet: NotYet{"The Career app does not exist yet.", "career"},
		},
		{ID: "COL-11", Section: Collecting, By: "UPT",
			Text:  "Request logs: IP address, user agent, URL, time; used for operation, security, debugging",
			Check: checkAccessLog,
			Looks: "that the access log has a limit of age and that no logged URL holds a secret",
		},
		{ID: "COL-12", Section: Collecting, By: "CU",
			Text: "Site analytics without cookies and without cross-site tracking: URL, referrer, country, in aggregate; an own " +
				"endpoint that the usual script for this (Plausible) can talk to",
			NotYet: NotYet{"Site analytics do not exist yet; nothing of the kind is collected.", "analytics"},
		},
		{ID: "COL-13", Section: Collecting, By: "JT",
			Text: "Anything beyond the strictly necessary (usage analytics, own error reports) waits for explicit consent in a " +
				"cookie banner, can be refused or withdrawn at any time, and the product works fully without; Global Privacy " +
				"Control counts as a refusal",
			NotYet: NotYet{"Nothing optional is collected yet, so there is no consent to ask for.", "consent"},
		},
		{ID: "COL-14", Section: Collecting, By: "JCUPT",
			Text: "Card numbers never reach the server; of Stripe only customer id, subscription id and invoice address (legal " +
				"entity) are stored",
			Check: checkCards,
			Looks: "billing data, for what passes as a card number",
		},
		{ID: "COL-15", Section: Collecting, By: "CU",
			Text: "Cookies: only the session cookie (HttpOnly, SameSite=Lax, Secure when served over TLS), plus Stripe's own on its " +
				"pages; the recorder sets no cookie on end users' browsers",
			Check:  checkCookies,
			Looks:  "the cookies that the server may set, with their attributes",
			NotYet: NotYet{"A browser that counts cookies after a full tour and after a recorded session.", "replay"},
		},
	}
}

func usePromises() []Promise {
	return []Promise{
		{ID: "USE-1", Section: Use, By: "JT",
			Text: "AI features (root cause, debug assistant, and for job seekers drafting and summarising) run only when a person " +
				"triggers them, send only what was shown to them first, and use providers set not to train on it",
			NotYet: NotYet{"AI features do not exist yet; nothing is sent to any.", "ai"},
		},
		{ID: "USE-2", Section: Use, By: "T",
			Text:   "AI output is marked as possibly wrong and is no professional advice; no automated decision with legal effect",
			NotYet: NotYet{"AI features do not exist yet.", "ai"},
		},
		{ID: "USE-3", Section: Use, By: "JCUPT",
			Text:  "No sale, no advertising; third parties only as processors, and listed",
			Check: checkProcessors,
			Looks: "every host that data goes to: it belongs to a listed processor, or a workspace chose it as a recipient of its messages; " +
				"those are counted here and listed to the workspace's owners, and a request to any other is refused",
			NotYet: NotYet{"There is no public page that lists the processors yet.", "subprocessors"},
		},
		{ID: "USE-4", Section: Use, By: "PT",
			Text: "Transactional mail only (verification, reset, invitation, security notice); marketing mail only after opt-in, " +
				"with one-click opt-out",
			Check: checkMailTypes,
			Looks: "the kinds of mail that can be sent",
		},
		{ID: "USE-5", Section: Use, By: "JCPT",
			Text:   "A material change of the policy is announced by mail or in the product before it takes effect",
			NotYet: NotYet{"Policy versions are not stored yet.", "policies"},
		},
		{ID: "USE-6", Section: Use, By: "U",
			Text:  "Notices about incidents, maintenance and security updates",
			Check: checkNotices,
			Looks: "that the operator can publish notices about the server and whoever is signed in can read them, and that owners were mailed all of them",
		},
		{ID: "USE-7", Section: Use, By: "JCT",
			Text:   "Abuse is detected and plan limits are enforced",
			Check:  checkGuessing,
			Looks:  "that whatever strangers can try is limited strictly",
			NotYet: NotYet{"Plan limits and quotas do not exist yet.", "billing"},
		},
		{ID: "USE-8", Section: Use, By: "CU",
			Text:  "A data processing agreement can be had, with the subprocessor list; 30 days' notice of a new subprocessor",
			Check: checkAgreements,
			Looks: "that the agreement can be had, and that no subprocessor came into use unannounced after somebody had signed",
		},
	}
}

func retainingPromises() []Promise {
	return []Promise{
		{ID: "RET-1", Section: Retention, By: "J",
			Text:  "Job events and payloads: Free 7 days, Pro 90 days",
			Check: retention{promise: "RET-1", module: jobsModule, named: func(p Plan) time.Duration { return p.JobEvents }}.check,
			Looks: "the oldest job event of each workspace against its plan's limit",
		},
		{ID: "RET-2", Section: Retention, By: "C",
			Text:   "Session recordings: Free 7, Starter 30, Growth 90, Scale 365 days; a single session can be deleted at any time",
			Check:  retention{promise: "RET-2", module: "replay", named: func(p Plan) time.Duration { return p.Recordings }}.check,
			Looks:  "the oldest recording of each workspace against its plan's limit",
			NotYet: NotYet{"Deleting a single session.", "replay"},
		},
		{ID: "RET-3", Section: Retention, By: "U",
			Text:  "Metrics: 30 days, 90 days or custom, by plan",
			Check: retention{promise: "RET-3", module: "metrics", named: func(p Plan) time.Duration { return p.Metrics }}.check,
			Looks: "the oldest sample of each workspace against its plan's limit",
		},
		{ID: "RET-4", Section: Retention, By: "U",
			Text:  "Audit log: 1 year after the event",
			Check: retention{promise: "RET-4", most: 366 * day}.check,
			Looks: "the oldest audit event of each workspace",
		},
		{ID: "RET-5", Section: Retention, By: "U",
			Text:  "Billing records: 5 years",
			Check: retention{promise: "RET-5", module: "billing", most: 5 * 366 * day}.check,
			Looks: "the oldest billing record",
		},
		{ID: "RET-6", Section: Retention, By: "CUPT",
			Text: "Account data: while the account is active, then a declared grace (Unimoni 90 days, Clairvio 30 days, JobTrax up " +
				"to 24 months, Jobplanr at once on request); the shortest that law allows is our default, and the operator can " +
				"set it",
			NotYet: NotYet{"Accounts cannot be closed in the product yet.", "account closure"},
		},
		{ID: "RET-7", Section: Retention, By: "T",
			Text:  "Server logs: between 90 days and 12 months (default 90), then deleted or anonymised",
			Check: retention{promise: "RET-7", most: 366 * day}.check,
			Looks: "the oldest line of the server's logs",
		},
		{ID: "RET-8", Section: Retention, By: "P",
			Text: "Backups: a deletion is honoured in backups no later than their rotation; content is encrypted with a key per " +
				"workspace, so destroying the key ends it everywhere at once",
			NotYet: NotYet{"Erasure destroys the workspace's key; that a restored backup stays unreadable is not tried by a check yet.", "backups"},
		},
	}
}

func securingPromises() []Promise {
	return []Promise{
		{ID: "SEC-1", Section: Security, By: "JCUPT",
			Text:   "Passwords are stored only as salted hashes (argon2id); never on a device",
			Check:  checkPasswords,
			Looks:  "the form of every stored password hash",
			NotYet: NotYet{"The mobile app does not exist yet.", "mobile"},
		},
		{ID: "SEC-2", Section: Security, By: "U",
			Text:  "TOTP secrets and OAuth tokens are encrypted; passkeys are public keys only",
			Check: checkFactors,
			Looks: "every stored secret of a second factor and every token of another provider: whether it is sealed; recovery codes: whether they are hashed; passkeys: whether they are public keys and no more",
		},
		{ID: "SEC-3", Section: Security, By: "J",
			Text:   "API keys are hashed and shown in full only once",
			Check:  checkKeys,
			Looks:  "the form of every stored API key and personal token",
			NotYet: NotYet{"That the answer which makes a key is the only one that has it: tests look for it in every table and page, no check does.", "access"},
		},
		{ID: "SEC-4", Section: Security, By: "JC",
			Text:   "TLS 1.2 or newer in transit; encryption at rest of customer content (payloads, errors, recordings)",
			Check:  checkSealed,
			Looks:  "every value of every column declared as content: whether it is sealed; and the TLS settings",
			NotYet: NotYet{"What lies in the blob store.", "replay"},
		},
		{ID: "SEC-5", Section: Security, By: "J",
			Text:  "Rate limiting and abuse detection on all endpoints",
			Check: checkRates,
			Looks: "the route table: whether every route has a limit",
		},
		{ID: "SEC-6", Section: Security, By: "U",
			Text:  "Audit log of actions and log of API accesses",
			Check: checkAudit,
			Looks: "the route table, and the hash chain of the audit log",
		},
		{ID: "SEC-7", Section: Security, By: "P",
			Text: "Mobile sign-in gives a short-lived token, kept in the platform's secure store; refresh rotates, reuse revokes " +
				"the family",
			Check:  checkMobile,
			Looks:  "every stored token of an app: its form, how long it gives access, and that no sign-in has two that could be refreshed",
			NotYet: NotYet{"The mobile app, and with it the device's secure store, does not exist yet.", "mobile"},
		},
		{ID: "SEC-8", Section: Security, By: "CU",
			Text:   "Access controls: roles, per-workspace isolation",
			Check:  checkIsolation,
			Looks:  "the route table: who may use each route, and what a role must allow; the role of every member",
			NotYet: NotYet{"Every route tried as everybody: a test does that for each version, not a check.", "access"},
		},
		{ID: "SEC-9", Section: Security, By: "CUT",
			Text:  "Not for children: minimum age by service (JobTrax 18, Clairvio and Unimoni 16) is asked at sign-up and enforced",
			Check: checkAges,
			Looks: "the logins of people whose age is not known to be enough for the apps that are on",
		},
	}
}

func rightsPromises() []Promise {
	return []Promise{
		{ID: "RGT-1", Section: Rights, By: "JCUPT",
			Text: "Access and export: everything held about a person or workspace, machine-readable (JSON, plus the field's own " +
				"formats), from the product",
			NotYet: NotYet{"The export works inside of the server, but cannot be asked for in the product yet.", "data rights"},
		},
		{ID: "RGT-2", Section: Rights, By: "JCUPT",
			Text:   "Rectification in the product",
			NotYet: NotYet{"Not every personal field has a form yet.", "data rights"},
		},
		{ID: "RGT-3", Section: Rights, By: "JCUPT",
			Text:   "Erasure: account closure removes everything on time; the person gets a receipt of what was removed",
			NotYet: NotYet{"The erasure works inside of the server, but cannot be asked for in the product yet.", "data rights"},
		},
		{ID: "RGT-4", Section: Rights, By: "JT",
			Text:   "Withdraw consent, object to processing, opt out",
			NotYet: NotYet{"There is no consent log yet.", "consent"},
		},
		{ID: "RGT-5", Section: Rights, By: "CT",
			Text: "Requests by people who are not account holders (recorded end users) can be found by reference, verified, " +
				"answered within 30 days",
			NotYet: NotYet{"Recording does not exist yet.", "replay"},
		},
		{ID: "RGT-6", Section: Rights, By: "P",
			Text:   "Identity is verified before a request is acted on",
			Check:  checkProof,
			Looks:  "the route table: whether what is grave, such as making keys and changing how one signs in, asks for a fresh proof of identity",
			NotYet: NotYet{"Export and erasure cannot be asked for in the product yet.", "data rights"},
		},
	}
}
