package privacy

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// retention is a promise about age: whatever the collections of a promise hold is younger than its limit.
type retention struct {
	promise string
	// module is the one whose data the promise is about: where it stores anything, something of it must take part. Empty:
	// something always must.
	module string
	// named returns what was promised to a workspace on a plan; 0 promises nothing. It may be nil.
	named func(Plan) time.Duration
	// most is the longest limit that the promise allows anybody; 0 is no bound.
	most time.Duration
}

// check is the Check of the promise.
func (r retention) check(ctx context.Context, in *Inspection) (Result, error) {
	collections := in.Map.With(r.promise)
	if len(collections) == 0 && r.module != "" && len(in.Map.Of(r.module)) == 0 {
		return notApplicable("This server stores nothing of the kind."), nil
	}
	ids, err := in.workspaceIDs(ctx)
	if err != nil {
		return Result{}, err
	}
	look := ageLook{retention: r, in: in}
	look.count("collections", int64(len(collections)))
	if len(collections) == 0 {
		look.bad("no collection takes part in %s", r.promise)
	}
	for _, c := range collections {
		if err := look.collection(ctx, c, ids); err != nil {
			return Result{}, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	if look.wrong == 0 && look.counts["limits"] == 0 && look.counts["kept_for_ever"] > 0 {
		res := notApplicable("Whoever runs this server has set it to keep this for ever.")
		res.Evidence = Evidence{Counts: look.counts}
		return res, nil
	}
	return look.result("Something is older than it may become, or has no limit."), nil
}

// ageLook is one run of a retention check.
type ageLook struct {
	finding
	retention retention
	in        *Inspection
}

func (l *ageLook) collection(ctx context.Context, c Collection, ids []kernel.WorkspaceID) error {
	if c.MaxAge == nil {
		c.MaxAge = l.siblingMaxAge(c)
	}
	if c.MaxAge == nil {
		l.bad("%s has no limit of age", c.Name)
		return nil
	}
	if c.Oldest == nil && c.Sweep != nil {
		l.bad("%s: nobody can tell how old it is", c.Name)
		return nil
	}
	limits, err := limitsOf(ctx, c, ids)
	if err != nil {
		return err
	}
	for _, ws := range ids {
		if err := l.limit(ctx, c, ws, limits.of[ws]); err != nil {
			return err
		}
		if err := l.age(ctx, c, ws, limits.of[ws]); err != nil {
			return err
		}
	}
	// And what belongs to no workspace: nothing at all may be older than the longest limit.
	if limits.longest > 0 {
		l.count("limits", 1)
		if l.retention.most > 0 && limits.longest > l.retention.most {
			l.bad("%s: the limit is longer than was promised", c.Name)
		}
	}
	return l.age(ctx, c, "", limits.longest)
}

// siblingMaxAge is the limit of a collection that is not swept by itself but goes with another of its module, such as
// the details of an event with the event.
func (l *ageLook) siblingMaxAge(c Collection) func(context.Context, kernel.WorkspaceID) (time.Duration, error) {
	for _, other := range l.in.Map.With(l.retention.promise) {
		if other.Module == c.Module && other.Sweep != nil && other.MaxAge != nil {
			return other.MaxAge
		}
	}
	return nil
}

// limit compares a workspace's limit with what was promised to it.
func (l *ageLook) limit(ctx context.Context, c Collection, ws kernel.WorkspaceID, age time.Duration) error {
	promised := l.retention.most
	if l.retention.named != nil {
		if l.in.Plans == nil {
			return errNoSource("plans")
		}
		plan, err := l.in.Plans.PlanOf(ctx, ws)
		if err != nil {
			return err
		}
		if _, sold := PlanNamed(plan.Name); sold {
			promised = l.retention.named(plan)
		}
	}
	switch {
	case promised > 0 && (age <= 0 || age > promised):
		l.count("limits_too_long", 1)
		l.bad("%s: a workspace's limit is longer than was promised", c.Name)
	case age <= 0:
		l.count("kept_for_ever", 1)
	default:
		l.count("limits", 1)
	}
	return nil
}

// age compares the oldest item with the limit and the interval of the sweep.
func (l *ageLook) age(ctx context.Context, c Collection, ws kernel.WorkspaceID, limit time.Duration) error {
	if limit <= 0 || c.Oldest == nil {
		return nil
	}
	oldest, err := c.Oldest(ctx, ws)
	if err != nil {
		return err
	}
	if oldest.IsZero() {
		return nil
	}
	l.count("looked_at", 1)
	if l.in.Now.Sub(oldest) > limit+l.in.sweepEvery() {
		l.count("overdue", 1)
		l.bad("%s holds something that should have been removed", c.Name)
	}
	return nil
}
