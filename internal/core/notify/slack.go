package notify

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

func slackKind() kind {
	return kind{
		Key: "slack", Title: "Slack", About: "An incoming webhook: messages to one Slack channel, without threads.",
		Docs: "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/",
		Steps: []string{"At api.slack.com/apps create an app from scratch, for your workspace.",
			"Under “Incoming Webhooks” turn them on, add one to your channel, and copy its address."},
		Fields: []field{checked(secretURL("url", "Webhook address", "It begins with https://hooks.slack.com/services/."), slackHook)},
		send:   sendSlack,
	}
}

func slackBotKind() kind {
	return kind{
		Key: "slack-bot", Title: "Slack (bot)", About: "A bot that opens a thread for each group of alerts, answers in it, and keeps its first message up to date.",
		Docs: "https://docs.slack.dev/reference/methods/chat.postMessage",
		Steps: []string{"At api.slack.com/apps create an app, and under “OAuth & Permissions” give the bot the scope chat:write.",
			"Install it to your workspace and copy the bot token (xoxb-…).",
			"Invite the bot to the channel: /invite @name. Copy the channel's ID from its details."},
		Fields: []field{
			checked(secret("token", "Bot token", "It begins with xoxb-."), prefixed("xoxb-", "A bot token begins with xoxb-.")),
			checked(text("channel", "Channel ID", "At the end of the channel's details in Slack; it stays the same when the channel is renamed.", "C0123456789"),
				matching(regexp.MustCompile(`^[CGD][A-Z0-9]{6,}$`), "A channel ID looks like C0123456789.")),
		},
		Acks: true, base: at("https://slack.com"), send: sendSlackBot,
	}
}

func slackHook(v string) string {
	if strings.HasPrefix(v, "https://hooks.slack.com/workflows/") || strings.HasPrefix(v, "https://hooks.slack.com/triggers/") {
		return "This address starts a workflow, which takes other messages. Make an incoming webhook."
	}
	return ""
}

func prefixed(prefix, note string) func(string) string {
	return func(v string) string {
		if !strings.HasPrefix(v, prefix) {
			return note
		}
		return ""
	}
}

func matching(re *regexp.Regexp, note string) func(string) string {
	return func(v string) string {
		if !re.MatchString(v) {
			return note
		}
		return ""
	}
}

// slackMessage is what both ways of posting take.
type slackMessage struct {
	Channel     string            `json:"channel,omitempty"`
	TS          string            `json:"ts,omitempty"`        // of the message to change
	ThreadTS    string            `json:"thread_ts,omitempty"` // of the message to answer
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments"`
	Unfurl      bool              `json:"unfurl_links"`
}

type slackAttachment struct {
	Color    string       `json:"color"`
	Fallback string       `json:"fallback"`
	Blocks   []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type string     `json:"type"`
	Text *slackText `json:"text,omitempty"`
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

const slackSection = 3000 // characters of a block's text

func (s *shot) slackMessage() slackMessage {
	title := slackStyle.esc(s.msg.Title)
	body := s.msg.body(slackStyle, slackSection)
	return slackMessage{Text: title, Attachments: []slackAttachment{{Color: s.msg.hex(), Fallback: title, Blocks: []slackBlock{
		{Type: "section", Text: &slackText{"mrkdwn", body}}}}}}
}

func sendSlack(ctx context.Context, s *shot) error {
	_, err := s.post(ctx, s.c.set["url"], nil, s.slackMessage())
	return err
}

// sendSlackBot posts the first message of a group, or answers it. The first message is changed before the answer is
// written: changing twice does no harm when the answer has to be tried again.
func sendSlackBot(ctx context.Context, s *shot) error {
	if err := s.findThread(ctx, s.c.set["channel"]); err != nil {
		return err
	}
	msg := s.slackMessage()
	if s.thread != nil {
		gone, err := s.slackChange(ctx, msg)
		if err != nil {
			return err
		}
		if gone {
			s.thread = nil
		}
	}
	msg.Channel = s.c.set["channel"]
	if s.thread != nil {
		msg.ThreadTS = s.thread.ID
	}
	out, err := s.slackCall(ctx, "chat.postMessage", msg)
	switch {
	case err != nil:
		return err
	case s.msg.Resolved:
		s.endThread(ctx)
	case s.thread == nil:
		s.keepThread(ctx, thread{ID: out.TS, Place: s.c.set["channel"], More: out.Channel})
	}
	return nil
}

// slackChange brings the first message of a thread up to date. gone: somebody has deleted it.
func (s *shot) slackChange(ctx context.Context, msg slackMessage) (gone bool, err error) {
	msg.Channel, msg.TS = firstOf(s.thread.More, s.c.set["channel"]), s.thread.ID
	out, err := s.slackCall(ctx, "chat.update", msg)
	switch out.Error {
	case "message_not_found":
		return true, nil
	case "edit_window_closed", "cant_update_message": // the workspace does not let messages be changed: answer it all the same
		return false, nil
	}
	return false, err
}

type slackAnswer struct {
	OK      bool   `json:"ok"`
	Error   string `json:"error"`
	TS      string `json:"ts"`
	Channel string `json:"channel"`
}

// slackAgain are errors that pass.
var slackAgain = []string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}

// slackCall calls a method. Slack says 200 to what it refuses, too.
func (s *shot) slackCall(ctx context.Context, method string, body any) (out slackAnswer, err error) {
	raw, err := s.post(ctx, s.base()+"/api/"+method, map[string]string{
		"Authorization": "Bearer " + s.c.set["token"], "Content-Type": "application/json; charset=utf-8"}, body)
	if err != nil {
		return out, err
	}
	if json.Unmarshal(raw, &out) != nil {
		return out, &failure{text: "Slack's answer cannot be read", retry: true}
	}
	if !out.OK {
		return out, &failure{text: "Slack refused it: " + clean(out.Error, 80), retry: slices.Contains(slackAgain, out.Error)}
	}
	return out, nil
}
