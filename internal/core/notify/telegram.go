package notify

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"time"
)

func telegramKind() kind {
	return kind{
		Key: "telegram", Title: "Telegram", About: "A bot that writes to a chat, group or channel; what follows answers its first message.",
		Docs: "https://core.telegram.org/bots/features#botfather",
		Steps: []string{"Write /newbot to @BotFather, and copy the token that it gives you.", "Add the bot to the group or channel, or write to it yourself first.",
			"Find the chat's ID: write something there, and open https://api.telegram.org/bot<token>/getUpdates."},
		Fields: []field{
			checked(secret("token", "Bot token", "It looks like 123456789:AA…"), matching(regexp.MustCompile(`^\d{5,}:[A-Za-z0-9_-]{30,}$`), "A bot token looks like 123456789:AA…")),
			checked(text("chat", "Chat ID", "A number (groups and channels have a negative one), or @name of a public channel.", "-1001234567890"),
				matching(regexp.MustCompile(`^(-?\d{1,20}|@[A-Za-z0-9_]{4,})$`), "A chat ID is a number, or @name.")),
			optional(checked(text("topic", "Topic ID", "Only for a group with topics.", ""), matching(regexp.MustCompile(`^\d{1,18}$`), "A topic ID is a number."))),
		},
		base: at("https://api.telegram.org"), send: sendTelegram,
	}
}

type telegramMessage struct {
	Chat    string           `json:"chat_id"`
	Topic   int64            `json:"message_thread_id,omitempty"`
	Text    string           `json:"text"`
	Mode    string           `json:"parse_mode"`
	Preview telegramPreview  `json:"link_preview_options"`
	Silent  bool             `json:"disable_notification,omitempty"`
	Reply   *telegramReplyTo `json:"reply_parameters,omitempty"`
}

type telegramPreview struct {
	Off bool `json:"is_disabled"`
}

type telegramReplyTo struct {
	Message int64 `json:"message_id"`
	Anyway  bool  `json:"allow_sending_without_reply"`
}

const maxTelegram = 4096 // UTF-16 units, tags not counted; we count them, to be on the safe side

func sendTelegram(ctx context.Context, s *shot) error {
	place := s.c.set["chat"] + "/" + s.c.set["topic"]
	if err := s.findThread(ctx, place); err != nil {
		return err
	}
	title := htmlStyle.bold(htmlStyle.esc(s.msg.Title))
	out := telegramMessage{Chat: s.c.set["chat"], Mode: "HTML", Preview: telegramPreview{Off: true}, Silent: s.msg.Severity == info && !s.msg.Resolved,
		Text: title + "\n\n" + s.msg.body(htmlStyle, maxTelegram-utf16Len(title)-2)}
	out.Topic, _ = strconv.ParseInt(s.c.set["topic"], 10, 64)
	if s.thread != nil {
		first, _ := strconv.ParseInt(s.thread.ID, 10, 64)
		out.Reply = &telegramReplyTo{Message: first, Anyway: true}
	}
	id, err := s.telegramCall(ctx, out)
	switch {
	case err != nil:
		return err
	case s.msg.Resolved:
		s.endThread(ctx)
	case s.thread == nil:
		s.keepThread(ctx, thread{ID: strconv.FormatInt(id, 10), Place: place})
	}
	return nil
}

func (s *shot) telegramCall(ctx context.Context, msg telegramMessage) (id int64, err error) {
	raw, err := s.post(ctx, s.base()+"/bot"+s.c.set["token"]+"/sendMessage", nil, msg)
	var out struct {
		OK          bool   `json:"ok"`
		Description string `json:"description"`
		Result      struct {
			ID int64 `json:"message_id"`
		} `json:"result"`
		Parameters struct {
			After int64 `json:"retry_after"` // seconds
		} `json:"parameters"`
	}
	bad := json.Unmarshal(raw, &out) != nil
	var f *failure
	if errors.As(err, &f) {
		if out.Parameters.After > 0 && out.Parameters.After < 1e6 {
			f.after = time.Duration(out.Parameters.After) * time.Second
		}
		return 0, f
	}
	if bad || !out.OK {
		return 0, &failure{text: "Telegram's answer cannot be read", retry: bad}
	}
	return out.Result.ID, nil
}
