package notify

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/kept-dev/kept/internal/ui"
)

func pagerdutyKind() kind {
	return kind{
		Key: "pagerduty", Title: "PagerDuty", About: "One incident for each group of alerts: triggered, acknowledged and resolved.",
		Docs:  "https://developer.pagerduty.com/docs/events-api-v2/overview/",
		Steps: []string{"In PagerDuty open the service, “Integrations”, and add “Events API V2”.", "Copy its integration key."},
		Fields: []field{
			checked(secret("key", "Integration key", "32 characters."), matching(regexp.MustCompile(`^[A-Za-z0-9]{32}$`), "An integration key has 32 letters and digits.")),
			choice("region", "Service region", "us", ui.Option{Value: "us", Label: "US"}, ui.Option{Value: "eu", Label: "EU"}),
		},
		Pages: 1, Acks: true, base: byRegion("https://events.pagerduty.com", "https://events.eu.pagerduty.com"), send: sendPagerDuty,
	}
}

type pagerdutyEvent struct {
	Key     string            `json:"routing_key"`
	Action  string            `json:"event_action"`
	Dedup   string            `json:"dedup_key"`
	Client  string            `json:"client,omitempty"`
	URL     string            `json:"client_url,omitempty"`
	Payload *pagerdutyPayload `json:"payload,omitempty"`
	Links   []pagerdutyLink   `json:"links,omitempty"`
}

type pagerdutyPayload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details,omitempty"`
}

type pagerdutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

func sendPagerDuty(ctx context.Context, s *shot) error {
	event := pagerdutyEvent{Key: s.c.set["key"], Dedup: s.key, Action: "trigger"}
	switch {
	case s.msg.Resolved:
		event.Action = "resolve"
	case s.msg.Acked != "":
		event.Action = "acknowledge"
	default:
		s.pagerdutyTrigger(&event)
	}
	_, err := s.post(ctx, s.base()+"/v2/enqueue", nil, event)
	return err
}

func (s *shot) pagerdutyTrigger(event *pagerdutyEvent) {
	first := s.msg.Items[0]
	event.Client, event.URL = "Kept", s.msg.Link
	event.Payload = &pagerdutyPayload{Summary: clip(firstOf(s.headline(), s.msg.Title), 1024), Source: firstOf(first.where(), "kept"), Severity: s.msg.Severity,
		Timestamp: first.Since.Format(time.RFC3339), Class: first.Name, Details: map[string]string{"alerts": s.msg.body(plain, 8000)}}
	add := func(text, href string) {
		if href != "" {
			event.Links = append(event.Links, pagerdutyLink{href, text})
		}
	}
	add("Alert", s.msg.Link)
	add("Silence", s.msg.Silence)
}

// headline is the title with what a single alert says of itself.
func (s *shot) headline() string {
	if len(s.msg.Items) == 1 && s.msg.Items[0].Summary != "" {
		return s.msg.Title + ": " + s.msg.Items[0].Summary
	}
	return s.msg.Title
}

func opsgenieKind() kind {
	return kind{
		Key: "opsgenie", Title: "Opsgenie", About: "One alert for each group: opened, acknowledged and closed.",
		Docs:  "https://docs.opsgenie.com/docs/api-integration",
		Steps: []string{"In Opsgenie open your team, “Integrations”, and add “API”.", "Give it the rights to create and update, and copy its key."},
		Fields: []field{
			secret("key", "API key", "Of the integration, not of a person."),
			choice("region", "Region", "us", ui.Option{Value: "us", Label: "US"}, ui.Option{Value: "eu", Label: "EU"}),
		},
		Pages: 1, Acks: true, base: byRegion("https://api.opsgenie.com", "https://api.eu.opsgenie.com"), send: sendOpsgenie,
	}
}

type opsgenieAlert struct {
	Message     string            `json:"message"`
	Alias       string            `json:"alias"`
	Description string            `json:"description"`
	Tags        []string          `json:"tags,omitempty"`
	Details     map[string]string `json:"details,omitempty"`
	Entity      string            `json:"entity,omitempty"`
	Source      string            `json:"source"`
	Priority    string            `json:"priority"`
}

func sendOpsgenie(ctx context.Context, s *shot) error {
	base := s.base() + "/v2/alerts"
	header := map[string]string{"Authorization": "GenieKey " + s.c.set["key"]}
	var body any
	switch {
	case s.msg.Resolved:
		base += "/" + url.PathEscape(s.key) + "/close?identifierType=alias"
		body = map[string]string{"source": "Kept", "note": clip(s.msg.Title, 1000)}
	case s.msg.Acked != "":
		base += "/" + url.PathEscape(s.key) + "/acknowledge?identifierType=alias"
		body = map[string]string{"source": "Kept", "note": clip("Acknowledged by "+s.msg.Acked, 1000)}
	default:
		body = s.opsgenieAlert()
	}
	_, err := s.post(ctx, base, header, body)
	return err
}

func (s *shot) opsgenieAlert() opsgenieAlert {
	first := s.msg.Items[0]
	out := opsgenieAlert{Message: clip(s.headline(), 130), Alias: s.key, Description: s.msg.body(plain, 14000), Entity: clip(first.where(), 512),
		Source: "Kept", Priority: map[string]string{critical: "P1", warning: "P3", info: "P5"}[s.msg.Severity], Tags: []string{s.msg.Severity}, Details: map[string]string{}}
	if s.msg.Link != "" {
		out.Details["link"] = s.msg.Link
	}
	for i, p := range s.msg.Common {
		if i < 20 {
			out.Details[clip(p.Name, 100)] = clip(p.Value, 300)
		}
	}
	return out
}

func pushoverKind() kind {
	return kind{
		Key: "pushover", Title: "Pushover", About: "To the Pushover app on phones.",
		Docs:  "https://pushover.net/api",
		Steps: []string{"At pushover.net copy your user key, or a group's key.", "Make an application there and copy its API token."},
		Fields: []field{
			checked(secret("user", "User or group key", "30 characters."), pushoverKey),
			checked(secret("token", "API token", "Of the application; 30 characters."), pushoverKey),
			choice("critical", "Critical alerts", "high", ui.Option{Value: "high", Label: "high priority"}, ui.Option{Value: "emergency", Label: "emergency: repeated every minute until somebody answers"}),
		},
		base: at("https://api.pushover.net"), send: sendPushover,
	}
}

var pushoverKeyForm = regexp.MustCompile(`^[A-Za-z0-9]{30}$`)

func pushoverKey(v string) string {
	return matching(pushoverKeyForm, "It has 30 letters and digits.")(v)
}

type pushoverMessage struct {
	Token    string `json:"token"`
	User     string `json:"user"`
	Title    string `json:"title"`
	Message  string `json:"message"`
	URL      string `json:"url,omitempty"`
	URLTitle string `json:"url_title,omitempty"`
	Priority int    `json:"priority"`
	Retry    int    `json:"retry,omitempty"`  // seconds between repetitions of an emergency
	Expire   int    `json:"expire,omitempty"` // seconds until it is given up
	Tags     string `json:"tags,omitempty"`
	At       int64  `json:"timestamp"`
}

func sendPushover(ctx context.Context, s *shot) error {
	base := s.base()
	msg := pushoverMessage{Token: s.c.set["token"], User: s.c.set["user"], Title: clip(s.msg.Title, 250), Message: s.msg.pushText(1000), At: s.now.Unix()}
	if len(s.msg.Link) <= 512 && s.msg.Link != "" {
		msg.URL, msg.URLTitle = s.msg.Link, "Open in Kept"
	}
	emergency := s.c.set["critical"] == "emergency" && s.msg.Severity == critical
	switch {
	case s.msg.Resolved:
		if emergency { // what nobody answered must not go on
			cancel := fmt.Sprintf("%s/1/receipts/cancel_by_tag/%s.json", base, s.key[:32])
			if _, err := s.post(ctx, cancel, nil, map[string]string{"token": s.c.set["token"]}); err != nil {
				return err
			}
		}
	case s.msg.Acked != "" || s.msg.Severity == info:
		msg.Priority = -1
	case emergency:
		msg.Priority, msg.Retry, msg.Expire, msg.Tags = 2, 60, 3600, s.key[:32]
	case s.msg.Severity == critical:
		msg.Priority = 1
	}
	_, err := s.post(ctx, base+"/1/messages.json", nil, msg)
	return err
}

// pushText is a short text for a phone: no links, no escapes.
func (msg *message) pushText(limit int) string {
	short := *msg
	short.Items = make([]item, len(msg.Items))
	for i, it := range msg.Items {
		it.Links, it.Description, it.Why = Links{}, "", nil
		short.Items[i] = it
	}
	return firstOf(short.body(plain, limit), msg.Title)
}

func ntfyKind() kind {
	server := text("server", "Server", "ntfy.sh, or your own.", "https://ntfy.sh")
	server.Value, server.URL = "https://ntfy.sh", true
	return kind{
		Key: "ntfy", Title: "ntfy", About: "To phones and desktops through ntfy.sh or a server of yours.",
		Docs:  "https://docs.ntfy.sh/publish/",
		Steps: []string{"Think of a topic that nobody guesses (on ntfy.sh whoever knows it can read along), and subscribe to it in the app.", "For a protected topic make an access token."},
		Fields: []field{
			server,
			checked(secret("topic", "Topic", "Letters, digits, dashes and underscores."), matching(regexp.MustCompile(`^[-_A-Za-z0-9]{1,64}$`), "A topic has up to 64 letters, digits, dashes and underscores.")),
			optional(secret("token", "Access token", "Only for a protected topic; it begins with tk_.")),
		},
		send: sendNtfy,
	}
}

type ntfyMessage struct {
	Topic    string       `json:"topic"`
	Title    string       `json:"title"`
	Message  string       `json:"message"`
	Priority int          `json:"priority"`
	Tags     []string     `json:"tags"`
	Click    string       `json:"click,omitempty"`
	Actions  []ntfyAction `json:"actions,omitempty"`
}

type ntfyAction struct {
	Action string `json:"action"`
	Label  string `json:"label"`
	URL    string `json:"url"`
}

func sendNtfy(ctx context.Context, s *shot) error {
	msg := ntfyMessage{Topic: s.c.set["topic"], Title: clipBytes(s.msg.Title, 250), Message: clipBytes(s.msg.pushText(3000), 3900), Click: s.msg.Link,
		Priority: map[string]int{critical: 5, warning: 4, info: 2}[s.msg.Severity], Tags: []string{"rotating_light", s.msg.Severity}}
	switch {
	case s.msg.Resolved:
		msg.Priority, msg.Tags = 3, []string{"white_check_mark", "resolved"}
	case s.msg.Acked != "":
		msg.Priority, msg.Tags = 2, []string{"eyes", "acknowledged"}
	}
	add := func(label, href string) {
		if href != "" {
			msg.Actions = append(msg.Actions, ntfyAction{"view", label, href})
		}
	}
	add("Open", s.msg.Link)
	if !s.msg.Resolved {
		add("Silence", s.msg.Silence)
		if s.msg.Acked == "" {
			add("Acknowledge", s.msg.Ack)
		}
	}
	header := map[string]string{}
	if token := s.c.set["token"]; token != "" {
		header["Authorization"] = "Bearer " + token
	}
	_, err := s.post(ctx, s.c.set["server"], header, msg)
	return err
}
