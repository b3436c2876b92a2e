package status

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/core/notify"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/queue"
)

// delivery is the arguments of a job that tells one webhook of one update.
type delivery struct {
	Workspace  kernel.WorkspaceID `json:"ws"`
	Subscriber kernel.ID          `json:"subscriber"`
	Update     kernel.ID          `json:"update,omitempty"` // empty: it is asked to confirm
}

// id is the same for all attempts at one message to one webhook.
func (d delivery) id() string {
	if d.Update == "" {
		return string(d.Subscriber)
	}
	return string(d.Update)
}

// What a webhook is sent. docs/status.md shows it.
type (
	hookMessage struct {
		Type    string   `json:"type"` // confirm or update
		Text    string   `json:"text"` // for people: chat programs show it
		Page    hookPage `json:"page"`
		Confirm string   `json:"confirm,omitempty"` // to open

		Notice      *hookNotice `json:"notice,omitempty"`
		Update      *hookUpdate `json:"update,omitempty"`
		Unsubscribe string      `json:"unsubscribe,omitempty"` // to open
	}
	hookPage struct {
		Title string `json:"title"`
		URL   string `json:"url"`
	}
	hookNotice struct {
		ID         kernel.ID  `json:"id"`
		Kind       string     `json:"kind"`
		Title      string     `json:"title"`
		Impact     string     `json:"impact,omitempty"`
		State      string     `json:"state"`
		Components []string   `json:"components"`
		URL        string     `json:"url"`
		StartsAt   time.Time  `json:"startsAt"`
		EndsAt     *time.Time `json:"endsAt"`
		OverAt     *time.Time `json:"overAt"`
	}
	hookUpdate struct {
		ID    kernel.ID `json:"id"`
		At    time.Time `json:"at"`
		State string    `json:"state"`
		Text  string    `json:"text"`
	}
)

var errNotTaken = errors.New("status: a webhook did not take a message")

// runDelivery is one attempt at a delivery. What has become moot meanwhile is dropped.
func (m *Module) runDelivery(ctx context.Context, d delivery) error {
	s, err := m.subscriber(ctx, d.Workspace, d.Subscriber, errNoWebhook())
	if kernel.CodeOf(err) == kernel.NotFound && err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	message, err := m.messageFor(ctx, d, s)
	if message == nil || err != nil {
		return err
	}
	err = m.d.Hooks.SendHook(ctx, notify.Hook{URL: s.Address, Secret: s.secret}, d.id(), message)
	if ctx.Err() != nil {
		return ctx.Err() // we are stopping: it is nobody's failure
	}
	if note := m.judge(ctx, d.Workspace, s, err == nil); note != nil {
		return note
	}
	switch {
	case err == nil:
		return nil
	case notify.Retryable(err):
		return errNotTaken
	}
	return queue.Permanent(errNotTaken)
}

// messageFor is what a webhook is to be sent; nil: nothing any more.
func (m *Module) messageFor(ctx context.Context, d delivery, s Subscriber) (*hookMessage, error) {
	p, err := m.Page(ctx, d.Workspace)
	if err != nil || !p.Public {
		return nil, err
	}
	box, err := m.d.Keys.Box(ctx, d.Workspace)
	if err != nil {
		return nil, err
	}
	out := &hookMessage{Type: "confirm", Page: hookPage{p.Title, m.d.BaseURL() + publicHref(p)}}
	if d.Update == "" {
		if s.On() {
			return nil, nil
		}
		out.Confirm = m.link(p, "confirm", token(box, s.ID))
		out.Text = "Somebody, probably you, asked to get incidents and maintenance of “" + p.Title + "” here. To confirm, open " + out.Confirm + " within 7 days. Without that, nothing more is sent."
		return out, nil
	}
	if !s.On() {
		return nil, nil
	}
	found, err := m.notices(ctx, `workspace_id = $1 AND deleted_at = 0 AND id = (SELECT notice_id FROM status_updates WHERE id = $2 AND workspace_id = $1)`, string(d.Workspace), string(d.Update))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	n := found[0]
	i := slices.IndexFunc(n.Updates, func(u Update) bool { return u.ID == d.Update })
	if i < 0 {
		return nil, nil
	}
	parts, err := m.Components(ctx, d.Workspace)
	if err != nil {
		return nil, err
	}
	u := n.Updates[i]
	out.Type, out.Text = "update", n.Title+" ("+u.State+"): "+u.Text
	out.Notice = &hookNotice{ID: n.ID, Kind: n.Kind, Title: n.Title, Impact: n.Impact, State: n.State, Components: namesOf(parts, n), URL: m.d.BaseURL() + publicHref(p) + "/incidents/" + string(n.ID),
		StartsAt: n.StartsAt, EndsAt: orNil(n.EndsAt), OverAt: orNil(n.OverAt)}
	out.Update = &hookUpdate{u.ID, u.At, u.State, u.Text}
	out.Unsubscribe = m.link(p, "unsubscribe", token(box, s.ID))
	return out, nil
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// queueDeliveries makes a job for each webhook that an update goes to.
func (m *Module) queueDeliveries(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, all []Subscriber, update kernel.ID) error {
	for _, s := range all {
		if s.Kind != byWebhook {
			continue
		}
		if _, err := m.deliver.Insert(ctx, tx, delivery{ws, s.ID, update}); err != nil {
			return err
		}
	}
	return nil
}
