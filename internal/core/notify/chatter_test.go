package notify

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// slackBody is what Slack documents of a message.
type slackBody struct {
	Channel     string `json:"channel"`
	TS          string `json:"ts"`
	ThreadTS    string `json:"thread_ts"`
	Text        string `json:"text"`
	Unfurl      bool   `json:"unfurl_links"`
	Attachments []struct {
		Color, Fallback string
		Blocks          []struct {
			Type string
			Text struct{ Type, Text string }
		}
	} `json:"attachments"`
}

func (in slackBody) check() error {
	if len(in.Attachments) != 1 || len(in.Attachments[0].Blocks) == 0 {
		return errors.New("no blocks")
	}
	a := in.Attachments[0]
	text := a.Blocks[0].Text.Text
	bare := regexp.MustCompile(`<https?://[^|<>]+\|[^<>|]*>`).ReplaceAllString(text, "")
	return need("text", runes(in.Text, 1, 3000), "block", a.Blocks[0].Type == "section" && a.Blocks[0].Text.Type == "mrkdwn", "block text", runes(text, 1, 3000),
		"colour", regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(a.Color), "mark-up of people", !strings.ContainsAny(bare, "<>"),
		"ampersand", regexp.MustCompile(`&(amp|lt|gt);`).ReplaceAllString(bare, "") == strings.ReplaceAll(regexp.MustCompile(`&(amp|lt|gt);`).ReplaceAllString(bare, ""), "&", ""))
}

func (p *provider) slack(r *http.Request, body []byte) (any, error) {
	var in slackBody
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	p.add(posted{Title: in.Text, Text: string(body)})
	return "ok", errors.Join(in.check(), need("channel", in.Channel+in.TS+in.ThreadTS == ""))
}

func (p *provider) slackBot(r *http.Request, body []byte) (in slackBody, err error) {
	if err := strict(r, body, &in); err != nil {
		return in, err
	}
	return in, errors.Join(in.check(), need("token", r.Header.Get("Authorization") == "Bearer "+slackToken, "channel", in.Channel == "C0123456789"))
}

func (p *provider) slackPost(r *http.Request, body []byte) (any, error) {
	in, err := p.slackBot(r, body)
	if err != nil {
		return nil, err
	}
	if in.ThreadTS != "" && !p.has(in.ThreadTS) || in.TS != "" {
		return nil, errors.New("thread_not_found")
	}
	id := p.add(posted{ID: fmt.Sprintf("17720000%02d.000100", len(p.got)), Thread: in.ThreadTS, Title: in.Text, Text: string(body)})
	return map[string]any{"ok": true, "channel": "C0123456789", "ts": id, "message": map[string]any{"text": in.Text}}, nil
}

func (p *provider) slackUpdate(r *http.Request, body []byte) (any, error) {
	in, err := p.slackBot(r, body)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.got, func(m posted) bool { return m.ID == in.TS })
	if i < 0 {
		return map[string]any{"ok": false, "error": "message_not_found"}, nil
	}
	p.got[i].Title = in.Text
	return map[string]any{"ok": true, "channel": "C0123456789", "ts": in.TS}, nil
}

func (p *provider) discord(r *http.Request, body []byte) (any, error) {
	var in struct {
		Embeds []struct {
			Title, Description, URL, Timestamp string
			Color                              int
		}
		Mentions *struct{ Parse []string } `json:"allowed_mentions"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if len(in.Embeds) != 1 || in.Mentions == nil {
		return nil, errors.New("embeds, allowed_mentions")
	}
	e := in.Embeds[0]
	_, stamp := time.Parse(time.RFC3339, e.Timestamp)
	p.add(posted{Title: e.Title, Text: e.Description})
	return nil, need("title", runes(e.Title, 1, 256), "description", runes(e.Description, 1, 4096), "url", e.URL == "" || strings.HasPrefix(e.URL, "https://"), "time", stamp == nil,
		"colour", e.Color >= 0 && e.Color <= 0xffffff, "mentions", in.Mentions.Parse != nil && len(in.Mentions.Parse) == 0, "everyone", !strings.Contains(e.Description, "@everyone"))
}

func (p *provider) teams(r *http.Request, body []byte) (any, error) {
	var in struct {
		Type        string `json:"type"`
		Attachments []struct {
			ContentType string  `json:"contentType"`
			ContentURL  *string `json:"contentUrl"`
			Content     struct {
				Schema  string         `json:"$schema"`
				Type    string         `json:"type"`
				Version string         `json:"version"`
				Teams   map[string]any `json:"msteams"`
				Body    []struct {
					Type, Text, Weight, Size, Color string
					Wrap, Separator                 bool
					Facts                           []struct{ Title, Value string }
				} `json:"body"`
				Actions []struct{ Type, Title, URL string } `json:"actions"`
			} `json:"content"`
		} `json:"attachments"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if len(in.Attachments) != 1 || len(in.Attachments[0].Content.Body) < 2 {
		return nil, errors.New("no card")
	}
	card := in.Attachments[0].Content
	ok := true
	for _, b := range card.Body {
		ok = ok && (b.Type == "TextBlock" && b.Text != "" || b.Type == "FactSet" && len(b.Facts) > 0)
	}
	for _, a := range card.Actions {
		ok = ok && a.Type == "Action.OpenUrl" && a.Title != "" && strings.HasPrefix(a.URL, "https://")
	}
	p.add(posted{Title: card.Body[0].Text, Text: string(body)})
	return nil, need("type", in.Type == "message", "card", in.Attachments[0].ContentType == "application/vnd.microsoft.card.adaptive" && card.Type == "AdaptiveCard" && card.Version == "1.4",
		"blocks", ok, "actions", len(card.Actions) <= 6, "size", len(body) <= 28<<10)
}

// wellFormed tells whether a text is the HTML that Telegram knows.
func wellFormed(text string) error {
	dec := xml.NewDecoder(strings.NewReader("<r>" + text + "</r>"))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); ok && !slices.Contains([]string{"r", "b", "a"}, start.Name.Local) {
			return fmt.Errorf("tag %s", start.Name.Local)
		}
	}
}

func (p *provider) telegram(r *http.Request, body []byte) (any, error) {
	var in struct {
		Chat    string `json:"chat_id"`
		Topic   int64  `json:"message_thread_id"`
		Text    string `json:"text"`
		Mode    string `json:"parse_mode"`
		Silent  bool   `json:"disable_notification"`
		Preview struct {
			Off bool `json:"is_disabled"`
		} `json:"link_preview_options"`
		Reply struct {
			ID     int64 `json:"message_id"`
			Anyway bool  `json:"allow_sending_without_reply"`
		} `json:"reply_parameters"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	thread := ""
	if in.Reply.ID != 0 {
		thread = strconv.FormatInt(in.Reply.ID, 10)
	}
	err := errors.Join(wellFormed(in.Text), need("token", r.PathValue("bot") == "bot"+telegramToken, "chat", in.Chat == "-1001234567890", "mode", in.Mode == "HTML",
		"length", len(in.Text) > 0 && utf16Len(in.Text) <= 4096, "reply", thread == "" || p.has(thread), "topic", in.Topic == 7))
	id, _ := strconv.Atoi(p.add(posted{Thread: thread, Title: in.Text, Text: in.Text}))
	return map[string]any{"ok": true, "result": map[string]any{"message_id": id, "date": 1, "chat": map[string]any{"id": -1001234567890}}}, err
}

func (p *provider) mattermost(r *http.Request, body []byte) (any, error) {
	var in struct {
		Text, Channel string
		Attachments   []struct {
			Fallback, Color, Title, Text string
			TitleLink                    string `json:"title_link"`
		}
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if len(in.Attachments) != 1 {
		return nil, errors.New("no attachment")
	}
	a := in.Attachments[0]
	p.add(posted{Title: a.Fallback, Text: a.Text})
	return "ok", need("text", runes(a.Text, 1, 16383), "title", a.Title != "", "everyone", !strings.Contains(a.Text+a.Title, "@everyone"), "size", len(body) < 100<<10)
}

func (p *provider) matrix(r *http.Request, body []byte) (any, error) {
	var in struct {
		Type   string `json:"msgtype"`
		Body   string `json:"body"`
		Format string `json:"format"`
		HTML   string `json:"formatted_body"`
		Thread *struct {
			Type  string `json:"rel_type"`
			Event string `json:"event_id"`
			Falls bool   `json:"is_falling_back"`
			Reply struct {
				Event string `json:"event_id"`
			} `json:"m.in_reply_to"`
		} `json:"m.relates_to"`
	}
	if err := strict(r, body, &in); err != nil {
		return nil, err
	}
	if event, again := p.txns[r.PathValue("txn")]; again {
		return map[string]string{"event_id": event}, nil
	}
	m := posted{Title: in.Body, Text: in.HTML}
	if in.Thread != nil {
		m.Thread = in.Thread.Event
	}
	err := errors.Join(wellFormed(strings.ReplaceAll(in.HTML, "<br>", "")), need("type", in.Type == "m.text", "body", in.Body != "", "format", in.Format == "org.matrix.custom.html",
		"token", r.Header.Get("Authorization") == "Bearer "+matrixToken, "room", r.PathValue("room") == "!room:example.org", "size", len(body) < 64<<10,
		"thread", in.Thread == nil || in.Thread.Type == "m.thread" && p.has(in.Thread.Event) && in.Thread.Reply.Event == in.Thread.Event))
	m.ID = fmt.Sprintf("$event%d", len(p.got))
	p.txns[r.PathValue("txn")] = p.add(m)
	return map[string]string{"event_id": m.ID}, err
}
