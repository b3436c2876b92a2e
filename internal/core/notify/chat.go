package notify

import (
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"
)

func discordKind() kind {
	return kind{
		Key: "discord", Title: "Discord", About: "A webhook of a Discord channel.",
		Docs:   "https://support.discord.com/hc/en-us/articles/228383668-Intro-to-Webhooks",
		Steps:  []string{"Open the channel's settings in Discord, then “Integrations”, “Webhooks”.", "Make a webhook and copy its address."},
		Fields: []field{secretURL("url", "Webhook address", "It begins with https://discord.com/api/webhooks/.")},
		send:   sendDiscord,
	}
}

type discordMessage struct {
	Embeds   []discordEmbed  `json:"embeds"`
	Mentions discordMentions `json:"allowed_mentions"`
}

type discordMentions struct {
	Parse []string `json:"parse"` // whom a message may call: nobody
}

type discordEmbed struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	URL         string `json:"url,omitempty"`
	Color       int    `json:"color"`
	Timestamp   string `json:"timestamp"`
}

func sendDiscord(ctx context.Context, s *shot) error {
	msg := discordMessage{Mentions: discordMentions{Parse: []string{}}, Embeds: []discordEmbed{{
		Title: clip(markdown.esc(s.msg.Title), 256), Description: s.msg.body(markdown, 4000), URL: s.msg.Link, Color: s.msg.colour(),
		Timestamp: s.now.UTC().Format(time.RFC3339)}}}
	raw, err := s.post(ctx, s.c.set["url"], nil, msg)
	var f *failure
	var limit struct {
		After float64 `json:"retry_after"` // seconds
	}
	if errors.As(err, &f) && f.retry && f.after == 0 && json.Unmarshal(raw, &limit) == nil && limit.After > 0 && limit.After < 1e5 {
		f.after = time.Duration(limit.After * float64(time.Second))
	}
	return err
}

func teamsKind() kind {
	return kind{
		Key: "teams", Title: "Microsoft Teams", About: "A workflow that posts adaptive cards to a channel or chat.",
		Docs: "https://support.microsoft.com/en-us/office/create-incoming-webhooks-with-workflows-for-microsoft-teams-8ae491c7-0394-4861-ba59-055e33f75498",
		Steps: []string{"In Teams open the channel's menu, “Workflows”, and choose “Send webhook alerts to a channel”.",
			"Name it, choose the channel, and copy the address at the end. Connectors of the old kind have been switched off."},
		Fields: []field{secretURL("url", "Workflow address", "It is long and has a signature (sig=…) at its end.")},
		send:   sendTeams,
	}
}

// card is an adaptive card, as far as we use it.
type card struct {
	Schema  string         `json:"$schema"`
	Type    string         `json:"type"`
	Version string         `json:"version"`
	Body    []cardBlock    `json:"body"`
	Actions []cardAction   `json:"actions,omitempty"`
	Teams   map[string]any `json:"msteams"`
}

type cardBlock struct {
	Type      string     `json:"type"`
	Text      string     `json:"text,omitempty"`
	Weight    string     `json:"weight,omitempty"`
	Size      string     `json:"size,omitempty"`
	Color     string     `json:"color,omitempty"`
	Wrap      bool       `json:"wrap,omitempty"`
	Separator bool       `json:"separator,omitempty"`
	Facts     []cardFact `json:"facts,omitempty"`
}

type cardFact struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

type cardAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

const maxTeams = 24 << 10 // bytes; Teams takes 28 kB with everything around

// teamsCard spells out as many alerts as fit.
func (msg *message) teamsCard() card {
	tone := "Warning"
	switch {
	case msg.Resolved:
		tone = "Good"
	case msg.Severity == critical:
		tone = "Attention"
	case msg.Severity == info:
		tone = "Accent"
	}
	c := card{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Teams: map[string]any{"width": "Full"},
		Body: []cardBlock{{Type: "TextBlock", Text: markdown.esc(msg.Title), Weight: "Bolder", Size: "Medium", Color: tone, Wrap: true}}}
	used := 0
	for i, it := range msg.Items {
		blocks := it.teamsBlocks(msg)
		raw, _ := json.Marshal(blocks)
		if used += len(raw); i > 0 && (used > maxTeams || i == maxItems) {
			c.Body = append(c.Body, cardBlock{Type: "TextBlock", Text: more(markdown, len(msg.Items)-i), Wrap: true, Separator: true})
			break
		}
		c.Body = append(c.Body, blocks...)
	}
	add := func(title, url string) {
		if url != "" {
			c.Actions = append(c.Actions, cardAction{"Action.OpenUrl", title, url})
		}
	}
	add("Open", msg.Link)
	if !msg.Resolved {
		add("Silence", msg.Silence)
		if msg.Acked == "" {
			add("Acknowledge", msg.Ack)
		}
	}
	return c
}

func (it item) teamsBlocks(msg *message) []cardBlock {
	state := it.Severity
	if it.Resolved {
		state = "resolved"
	}
	out := []cardBlock{{Type: "TextBlock", Text: "**" + markdown.esc(it.Name) + "** (" + markdown.esc(state) + ")", Wrap: true, Separator: true}}
	for _, text := range append([]string{it.Summary, it.Description}, it.Why...) {
		if text != "" {
			out = append(out, cardBlock{Type: "TextBlock", Text: markdown.esc(text), Wrap: true})
		}
	}
	var facts []cardFact
	if it.Value != "" {
		facts = append(facts, cardFact{"Value", markdown.esc(it.Value)})
	}
	for i, p := range it.Labels {
		if i == 12 {
			break
		}
		facts = append(facts, cardFact{markdown.esc(p.Name), markdown.esc(p.Value)})
	}
	if len(facts) > 0 {
		out = append(out, cardBlock{Type: "FactSet", Facts: facts})
	}
	return append(out, cardBlock{Type: "TextBlock", Text: markdown.esc(it.when(msg.At)), Wrap: true})
}

func sendTeams(ctx context.Context, s *shot) error {
	_, err := s.post(ctx, s.c.set["url"], nil, map[string]any{"type": "message", "attachments": []map[string]any{{
		"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": s.msg.teamsCard()}}})
	return err
}

func mattermostKind() kind {
	return kind{
		Key: "mattermost", Title: "Mattermost", About: "An incoming webhook of a Mattermost server.",
		Docs:  "https://developers.mattermost.com/integrate/webhooks/incoming/",
		Steps: []string{"In Mattermost open “Integrations”, “Incoming Webhooks”, and add one for your channel.", "Copy its address."},
		Fields: []field{
			secretURL("url", "Webhook address", "It looks like https://mattermost.example.com/hooks/…"),
			optional(text("channel", "Channel", "Only to post to another channel than the webhook's own: its name in the address.", "town-square")),
		},
		send: sendMattermost,
	}
}

type mattermostMessage struct {
	Text        string                 `json:"text"`
	Channel     string                 `json:"channel,omitempty"`
	Attachments []mattermostAttachment `json:"attachments"`
}

type mattermostAttachment struct {
	Fallback  string `json:"fallback"`
	Color     string `json:"color"`
	Title     string `json:"title"`
	TitleLink string `json:"title_link,omitempty"`
	Text      string `json:"text"`
}

func sendMattermost(ctx context.Context, s *shot) error {
	title := markdown.esc(s.msg.Title)
	_, err := s.post(ctx, s.c.set["url"], nil, mattermostMessage{Channel: s.c.set["channel"], Attachments: []mattermostAttachment{{
		Fallback: s.msg.Title, Color: s.msg.hex(), Title: title, TitleLink: s.msg.Link, Text: s.msg.body(markdown, 12000)}}})
	return err
}

// clipBytes shortens a text to a number of bytes.
func clipBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n = max(0, n-len("…"))
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
