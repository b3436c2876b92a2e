package notify

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// asksKept is how long it is remembered that an address was asked and did not agree.
const asksKept = 30 * 24 * time.Hour

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	rows := func(at string, c privacy.Collection) privacy.Collection {
		return privacy.Table{DB: m.db, Of: "workspace_id", At: at}.Declare(c)
	}
	return []privacy.Collection{m.channelsCollection(), m.addressesCollection(), rows("created_at", m.browsersCollection()),
		rows("updated_at", threadsCollection()), rows("created_at", m.deliveriesCollection()), rows("at", attemptsCollection())}
}

func (m *Module) channelsCollection() privacy.Collection {
	rows := privacy.Table{DB: m.db, Of: "workspace_id", At: "deleted_at", Only: `deleted_at > 0`}
	return rows.Declare(privacy.Collection{
		Name: "notify_channels", Module: "notify", Title: "Channels", Subjects: "nobody; addresses may be people's",
		Purpose: "to tell people and machines what a workspace wants them told", LegalBasis: "contract",
		Retention: "until the workspace is erased; a deleted one 30 days", MaxAge: privacy.Fixed(deletedFor), Where: privacy.ControlDB, Processor: "the providers that the workspace chose", Promises: []string{"COL-8", "SEC-4"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which channel"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "name", Category: privacy.Settings, Note: "what people call it"},
			{Name: "name_key", Category: privacy.Settings, Note: "the name in small letters, to compare it"},
			{Name: "kind", Category: privacy.Settings, Note: "over what it sends"},
			{Name: "resolved", Category: privacy.Settings, Note: "whether it also says when it is over"},
			{Name: "sealed", Category: privacy.Content, Note: "addresses, tokens and choices, sealed"},
			{Name: "failures", Category: privacy.Technical, Note: "how often in a row it was refused for good"},
			{Name: "disabled_at", Category: privacy.Technical, Note: "since when it is off"},
			{Name: "disabled_why", Category: privacy.Technical, Note: "whether a person or failures turned it off"},
			{Name: "not_before", Category: privacy.Technical, Note: "until when the provider wants to be left alone"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was made"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was changed last"},
			{Name: "deleted_at", Category: privacy.Technical, Note: "when it was deleted"},
		},
		Export: privacy.EachAs(m.all, func(c Channel) any { return exportChannel(c) }),
	})
}

func (m *Module) addressesCollection() privacy.Collection {
	// Only who did not agree, and whose channel is gone, is forgotten.
	rows := privacy.Table{DB: m.db, Of: "workspace_id", At: "asked_at", Only: `confirmed_at = 0 OR channel_id NOT IN (SELECT id FROM notify_channels)`}
	return rows.Declare(privacy.Collection{
		Name: "notify_addresses", Module: "notify", Title: "Addresses that were asked whether they want alerts", Subjects: "people whose address somebody entered for a channel",
		Purpose: "to mail nobody who did not agree, and to ask nobody too often", LegalBasis: "legitimate interest",
		Retention: "while a channel has the address; 30 days if it did not agree", Where: privacy.ControlDB, Processor: "the mail server that the operator configured", Promises: []string{"USE-4"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which question"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "channel_id", Category: privacy.Technical, Note: "of which channel"},
			{Name: "address_tag", Category: privacy.Secret, Note: "keyed hash of the address, to know it again"},
			{Name: "sealed", Category: privacy.Content, Note: "the address, sealed"},
			{Name: "token_hash", Category: privacy.Secret, Note: "SHA-256 of the mailed link's 256 random bits"},
			{Name: "asked_at", Category: privacy.Technical, Note: "when it was asked"},
			{Name: "confirmed_at", Category: privacy.Technical, Note: "when it agreed"},
		},
		MaxAge: privacy.Fixed(asksKept), NoExport: "the channel's export has its addresses",
	})
}

func (m *Module) browsersCollection() privacy.Collection {
	return privacy.Collection{
		Name: "notify_browsers", Module: "notify", Title: "Browsers that get notifications", Subjects: "members",
		Purpose: "to show notifications in browsers where members turned them on", LegalBasis: "consent",
		Retention: "until they are turned off, the person leaves the workspace, or the channel is deleted", Where: privacy.ControlDB,
		Processor: "the push service of the browser's maker", Promises: []string{"SEC-4"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which browser"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "channel_id", Category: privacy.Technical, Note: "for which channel"},
			{Name: "account_id", Category: privacy.Technical, Note: "whose"},
			{Name: "endpoint_tag", Category: privacy.Secret, Note: "keyed hash of the address, to know it again"},
			{Name: "sealed", Category: privacy.Content, Note: "address at the push service, keys and the browser's name, sealed"},
			{Name: "created_at", Category: privacy.Technical, Note: "when they were turned on"},
		},
		Export: m.exportBrowsers,
	}
}

func threadsCollection() privacy.Collection {
	return privacy.Collection{
		Name: "notify_threads", Module: "notify", Title: "Threads of notifications", Subjects: "whoever the labels of alerts name",
		Purpose: "to answer and change what was posted about the same alerts before", LegalBasis: "contract",
		Retention: "until the alerts are over, 30 days after the last message at most", Where: privacy.ControlDB, Promises: []string{"SEC-4"},
		Fields: []privacy.Field{
			{Name: "channel_id", Category: privacy.Technical, Note: "of which channel"},
			{Name: "group_tag", Category: privacy.Technical, Note: "hash of the group of alerts"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "sealed", Category: privacy.Content, Note: "where the first message stands, sealed"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was posted"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was noted last"},
		},
		MaxAge: privacy.Fixed(Retention), NoExport: "it is of use to the channel only",
	}
}

func (m *Module) deliveriesCollection() privacy.Collection {
	return privacy.Collection{
		Name: "notify_deliveries", Module: "notify", Title: "Delivery log", Subjects: "whoever the labels of alerts name",
		Purpose: "to show what was sent over which channel, and to send it again", LegalBasis: "contract",
		Retention: "30 days", Where: privacy.ControlDB, Promises: []string{"SEC-4"},
		Fields: []privacy.Field{
			{Name: "id", Category: privacy.Technical, Note: "which delivery"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "channel_id", Category: privacy.Technical, Note: "over which channel"},
			{Name: "notice", Category: privacy.Technical, Note: "hash of what was to be told, to know its attempts"},
			{Name: "reason", Category: privacy.Technical, Note: "alert, test or resend"},
			{Name: "state", Category: privacy.Technical, Note: "sent, queued, retrying or failed"},
			{Name: "firing", Category: privacy.Telemetry, Note: "how many alerts fired"},
			{Name: "resolved", Category: privacy.Telemetry, Note: "how many were over"},
			{Name: "attempts", Category: privacy.Technical, Note: "how often it was tried"},
			{Name: "created_at", Category: privacy.Technical, Note: "when it was tried first"},
			{Name: "updated_at", Category: privacy.Technical, Note: "when it was tried last"},
			{Name: "sealed", Category: privacy.Content, Note: "the alerts and the title, sealed"},
		},
		MaxAge: privacy.Fixed(Retention), Export: m.exportDeliveries,
	}
}

func attemptsCollection() privacy.Collection {
	return privacy.Collection{
		Name: "notify_attempts", Module: "notify", Title: "Attempts at deliveries", Subjects: "whoever the labels of alerts name",
		Purpose: "to show how often something was tried and what came of it", LegalBasis: "contract",
		Retention: "30 days", Where: privacy.ControlDB, Promises: []string{"SEC-4"},
		Fields: []privacy.Field{
			{Name: "delivery_id", Category: privacy.Technical, Note: "of which delivery"},
			{Name: "n", Category: privacy.Technical, Note: "the how many-th"},
			{Name: "workspace_id", Category: privacy.Technical, Note: "of which workspace"},
			{Name: "at", Category: privacy.Technical, Note: "when"},
			{Name: "duration_us", Category: privacy.Technical, Note: "how long it took"},
			{Name: "status", Category: privacy.Technical, Note: "the HTTP status"},
			{Name: "outcome", Category: privacy.Technical, Note: "sent, queued, retrying or failed"},
			{Name: "sealed", Category: privacy.Content, Note: "what the provider said, without tokens, sealed"},
		},
		MaxAge: privacy.Fixed(Retention), NoExport: "the export of deliveries has them", NoErase: "goes with the delivery",
	}
}

// exportedChannel is a channel as an export and the API have it: without tokens.
type exportedChannel struct {
	ID         kernel.ID         `json:"id"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`
	Resolved   bool              `json:"resolved"`
	Settings   map[string]string `json:"settings"` // secret ones by their last characters
	DisabledAt *time.Time        `json:"disabled_at,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
}

func exportChannel(c Channel) exportedChannel {
	out := exportedChannel{ID: c.ID, Name: c.Name, Kind: c.Kind, Resolved: c.Resolved, Settings: c.shown(), CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt}
	if c.Disabled() {
		out.DisabledAt = &c.DisabledAt
	}
	return out
}

func (m *Module) exportBrowsers(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	list, err := m.list(ctx, ws)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Kind != "webpush" {
			continue
		}
		browsers, err := m.browsers(ctx, c)
		if err != nil {
			return err
		}
		for _, b := range browsers {
			if err := item(map[string]any{"id": b.ID, "channel": c.Name, "owner": b.Owner, "browser": b.Name, "created_at": b.CreatedAt}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Module) exportDeliveries(ctx context.Context, ws kernel.WorkspaceID, item func(any) error) error {
	f := DeliveryFilter{Limit: 200}
	for {
		list, next, err := m.Deliveries(ctx, ws, f)
		if err != nil {
			return err
		}
		for _, d := range list {
			if d.Attempts, err = m.attempts(ctx, d); err != nil {
				return err
			}
			if err := item(map[string]any{"id": d.ID, "channel": d.Channel, "kind": d.Kind, "reason": d.Reason, "state": d.State, "title": d.Title, "firing": d.Firing,
				"resolved": d.Resolved, "created_at": d.CreatedAt, "alerts": d.body.Alerts, "attempts": exportAttempts(d.Attempts)}); err != nil {
				return err
			}
		}
		if f.Cursor = next; next == "" {
			return nil
		}
	}
}

func exportAttempts(list []Attempt) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, a := range list {
		out[i] = map[string]any{"at": a.At, "took_ms": a.Took.Milliseconds(), "status": a.Status, "outcome": a.State, "text": a.Text}
	}
	return out
}

// shown are a channel's settings as people may see them: of a secret only enough to know it again.
func (c Channel) shown() map[string]string {
	k, _ := kindNamed(c.Kind)
	out := map[string]string{}
	for _, f := range k.Fields {
		if v := c.set[f.Name]; v != "" {
			out[f.Name] = f.masked(v)
		}
	}
	return out
}
