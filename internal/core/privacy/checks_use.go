package privacy

import (
	"context"
	"slices"

	"github.com/kept-dev/kept/internal/platform/httpx"
)

// checkProcessors (USE-3) compares who is listed as a processor with where the configuration sends data, and wants every
// other host to be a recipient that a workspace chose.
func checkProcessors(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	if in.Recipients == nil {
		return Result{}, errNoSource("recipients")
	}
	s, err := in.Recipients.RecipientState(ctx)
	if err != nil {
		return Result{}, err
	}
	f.count("recipients_chosen_by_workspaces", s.Hosts)
	f.count("workspaces_with_recipients", s.Workspaces)
	f.count("requests_refused", s.Refused)
	if s.Unknown > 0 {
		f.bad("%d channels of workspaces do not say which host they send to", s.Unknown)
	}
	if s.Refused > 0 {
		f.bad("%d requests would have gone to hosts that no workspace chose, and were refused", s.Refused)
	}
	listed := func(match func(Processor) bool) bool { return slices.ContainsFunc(in.Facts.Processors, match) }
	f.count("processors", int64(len(in.Facts.Processors)))
	for _, o := range in.Facts.Outbound {
		f.count("outbound_hosts", 1)
		if !o.Own && !listed(func(p Processor) bool { return p.Host == o.Host }) {
			f.bad("%s makes the server connect to a host that no listed processor has", o.Setting)
		}
	}
	for _, c := range in.Map.Collections() {
		if c.Processor == "" {
			continue
		}
		// A processor that the map names and the settings do not is one that is not in use, such as a mail server
		// where no mail is sent. Whatever is in use stands in Outbound.
		if listed(func(p Processor) bool { return p.Name == c.Processor || p.Role == c.Processor }) {
			f.count("collections_seen_by_processors", 1)
		} else {
			f.count("collections_with_a_processor_not_in_use", 1)
		}
	}
	for _, p := range in.Facts.Processors {
		if p.Name == "" || p.Purpose == "" {
			f.bad("a processor is listed without a name or a purpose")
		}
	}
	return f.result("Data goes, or was about to go, to a third party that is not listed."), nil
}

// checkAgreements (USE-8) wants the page of the agreement, and thirty days between the announcement and the use of a
// subprocessor.
func checkAgreements(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	if in.Agreements == nil {
		return Result{}, errNoSource("agreements")
	}
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	if !slices.ContainsFunc(routes, func(r httpx.Route) bool { return r.Path == "/w/{ws}/settings/agreement" && r.Method == "GET" }) {
		f.bad("there is no page with the agreement")
	}
	s, err := in.Agreements.AgreementState(ctx)
	if err != nil {
		return Result{}, err
	}
	f.count("agreements_signed", s.Signed)
	f.count("subprocessors_in_use", s.InUse)
	f.count("subprocessors_announced", s.Announced)
	for _, name := range s.WithoutNotice {
		f.bad("%s is used without thirty days' notice", name)
	}
	return f.result("A subprocessor was not announced in time."), nil
}

// checkNotices (USE-6) wants notices about the server to be publishable where others depend on it, to have a page and a mail,
// and to have reached the owners.
func checkNotices(ctx context.Context, in *Inspection) (Result, error) {
	var f finding
	if in.Notices == nil || in.Mail == nil {
		return Result{}, errNoSource("notices")
	}
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	if !slices.ContainsFunc(routes, func(r httpx.Route) bool {
		return r.Method == "GET" && r.Path == "/notices" && r.Access == httpx.SignedIn
	}) {
		f.bad("there is no page with the notices for whoever is signed in")
	}
	if !slices.ContainsFunc(in.Mail.MailTypes(), func(t MailType) bool { return t.Name == "status_server" && !t.Marketing }) {
		f.bad("there is no mail for the notices")
	}
	s, err := in.Notices.NoticeState(ctx)
	if err != nil {
		return Result{}, err
	}
	f.count("updates_mailed_to_owners", s.Told)
	if s.Untold > 0 {
		f.bad("%d updates were not mailed to the owners within an hour", s.Untold)
	}
	ids, err := in.Workspaces.WorkspaceIDs(ctx)
	if err != nil {
		return Result{}, err
	}
	f.count("workspaces", int64(len(ids)))
	if !s.Speaks && len(ids) > 1 {
		f.bad("nobody can publish notices to %d workspaces: set --status-workspace", len(ids))
	}
	return f.result("Whoever uses this server would not hear of an incident, of maintenance or of a security update."), nil
}

// checkMailTypes (USE-4) wants every kind of marketing mail to need an opt-in.
func checkMailTypes(_ context.Context, in *Inspection) (Result, error) {
	var f finding
	if in.Mail == nil {
		return Result{}, errNoSource("list of mail types")
	}
	seen := map[string]bool{}
	for _, t := range in.Mail.MailTypes() {
		switch {
		case t.Name == "":
			f.bad("a mail type has no name")
		case seen[t.Name]:
			f.bad("%s is declared twice", t.Name)
		case !t.Marketing:
			f.count("transactional", 1)
		case t.OptIn:
			f.count("marketing_with_opt_in", 1)
		default:
			f.bad("%s is marketing and needs no opt-in", t.Name)
		}
		seen[t.Name] = true
	}
	if len(seen) == 0 {
		f.bad("no mail type is declared")
	}
	return f.result("Mail can be sent that is neither transactional nor asked for."), nil
}

// checkGuessing (USE-7) wants whatever a stranger can post to be limited as strictly as guessing deserves.
func checkGuessing(_ context.Context, in *Inspection) (Result, error) {
	var f finding
	routes, err := in.routes()
	if err != nil {
		return Result{}, err
	}
	strict := []httpx.RateClass{httpx.RateAuth, httpx.RateMail, httpx.RateIngest, httpx.RateWrite}
	for _, r := range routes {
		open := r.Access == httpx.Public || r.Access == httpx.Handled
		if !changesState(r) || !open {
			continue
		}
		f.count("open_routes_that_change_state", 1)
		if !slices.Contains(strict, r.Rate) {
			f.bad("%s can be tried by a stranger at the rate of class %q", routeName(r), r.Rate)
		}
		if r.Rate == httpx.RateAuth || r.Rate == httpx.RateMail {
			f.count("throttled_against_guessing", 1)
		}
	}
	if f.counts["throttled_against_guessing"] == 0 {
		f.bad("no route is throttled against guessing, not even sign-in")
	}
	return f.result("Something that strangers may try is not limited strictly enough."), nil
}
