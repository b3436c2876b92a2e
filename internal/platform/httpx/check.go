package httpx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	accesses    = []Access{Public, SignedIn, Member, APIKey, Person, Handled, Localhost}
	rateClasses = []RateClass{RatePage, RateWrite, RateAuth, RateMail, RateIngest, RateLive, RateNone}
	permissions = []Permission{MayBelong, MayView, MayChange, MayManage, MayAudit, MayBill, MayOwn}
	methods     = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
)

// check holds the rules of the route table.
func (m *Mux) check(r Route) error {
	switch {
	case !slices.Contains(methods, r.Method):
		return errors.New("the method must be one of " + strings.Join(methods, ", "))
	case !strings.HasPrefix(r.Path, "/"):
		return errors.New("the path must begin with a slash")
	case r.Handler == nil:
		return errors.New("it has no handler")
	case !slices.Contains(accesses, r.Access):
		return fmt.Errorf("access %q is not one of the kinds", r.Access)
	case !slices.Contains(rateClasses, r.Rate):
		return fmt.Errorf("rate class %q is not one of the classes: every route is limited (SEC-5)", r.Rate)
	case changesState(r.Method) && r.Audit == "" && r.NoAudit == "":
		return errors.New("it changes state: name its audit action, or say in NoAudit why there is none (SEC-6)")
	case r.Audit != "" && r.NoAudit != "":
		return errors.New("it has both Audit and NoAudit")
	case (r.Access == APIKey || r.Access == Person) != (r.Scope != ""):
		return errors.New("a route for keys or tokens names its scope, and no other does")
	case (r.Access == Member || r.Access == APIKey) != (r.Needs != ""):
		return errors.New("a route of a workspace says what it needs, and no other does")
	case r.Needs != "" && !slices.Contains(permissions, r.Needs):
		return fmt.Errorf("it needs %q, which is not a permission", r.Needs)
	case r.App != "" && r.Needs == "":
		return errors.New("only a route of a workspace belongs to an app")
	case r.StepUp && r.Access != SignedIn && r.Access != Member:
		return errors.New("only a person at a browser can be asked for a proof")
	case r.Access == Member && !hasWildcard(r.Path, "ws"):
		return errors.New("member routes have {ws} in their path")
	case r.AnyPrefix && strings.ContainsAny(r.Path, "{}"):
		return errors.New("a path with wildcards cannot be served under any prefix")
	case strings.HasPrefix(r.Path, "/api/") && r.API == nil:
		return errors.New("it belongs to the API: describe it in an Operation")
	case r.API != nil && (r.API.Summary == "" || len(r.API.Responses) == 0):
		return errors.New("its Operation needs a summary and at least one response")
	case r.MaxBody < 0:
		return errors.New("MaxBody is negative")
	}
	for _, name := range r.Secrets {
		if !hasWildcard(r.Path, name) {
			return fmt.Errorf("the secret {%s} is not in the path", name)
		}
	}
	return m.checkDuplicate(r)
}

// checkDuplicate gives a plain reason where ServeMux would only tell of a conflict between patterns.
func (m *Mux) checkDuplicate(r Route) error {
	for _, other := range m.routes {
		if other.Method == r.Method && other.Path == r.Path {
			return errors.New("it is registered already")
		}
	}
	return nil
}

func changesState(method string) bool {
	return method != "GET" && method != "HEAD" && method != "OPTIONS"
}

func hasWildcard(path, name string) bool {
	return strings.Contains(path, "{"+name+"}") || strings.Contains(path, "{"+name+"...}")
}
