package notify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

func matrixKind() kind {
	server := text("server", "Homeserver", "Where the account lives.", "https://matrix.example.org")
	server.URL = true
	return kind{
		Key: "matrix", Title: "Matrix", About: "A message to a Matrix room, with a thread for each group of alerts.",
		Docs: "https://spec.matrix.org/latest/client-server-api/",
		Steps: []string{"Make an account for the bot and join the room with it; the room must not be encrypted.",
			"Copy its access token (in Element: Settings, Help & About) and the room's internal ID (Room settings, Advanced)."},
		Fields: []field{
			server, secret("token", "Access token", "Of the bot's account."),
			checked(text("room", "Room ID", "It begins with an exclamation mark.", "!abcdef:example.org"), matching(regexp.MustCompile(`^![^\s/?#]{1,254}$`), "A room ID begins with an exclamation mark; an alias (#…) can change and is not taken.")),
		},
		send: sendMatrix,
	}
}

// matrixStyle is Matrix's HTML, which wants its line breaks said.
func matrixStyle() style {
	st := htmlStyle
	st.nl = "<br>"
	return st
}

type matrixMessage struct {
	Type   string         `json:"msgtype"`
	Body   string         `json:"body"`
	Format string         `json:"format"`
	HTML   string         `json:"formatted_body"`
	Thread *matrixRelates `json:"m.relates_to,omitempty"`
}

type matrixRelates struct {
	Type    string        `json:"rel_type"`
	Event   string        `json:"event_id"`
	Falls   bool          `json:"is_falling_back"`
	ReplyTo matrixReplyTo `json:"m.in_reply_to"`
}

type matrixReplyTo struct {
	Event string `json:"event_id"`
}

const maxMatrix = 14000 // characters of each form; an event has 64 kB

// sendMatrix puts an event under a transaction id that is the same for all attempts, so that one whose answer got lost is
// not said twice.
func sendMatrix(ctx context.Context, s *shot) error {
	place := s.c.set["server"] + "/" + s.c.set["room"]
	if err := s.findThread(ctx, place); err != nil {
		return err
	}
	msg := matrixMessage{Type: "m.text", Format: "org.matrix.custom.html", Body: s.msg.Title + "\n\n" + s.msg.body(plain, maxMatrix),
		HTML: "<b>" + htmlStyle.esc(s.msg.Title) + "</b><br><br>" + s.msg.body(matrixStyle(), maxMatrix)}
	if s.thread != nil {
		msg.Thread = &matrixRelates{Type: "m.thread", Event: s.thread.ID, Falls: true, ReplyTo: matrixReplyTo{s.thread.ID}}
	}
	address := strings.TrimSuffix(s.c.set["server"], "/") + "/_matrix/client/v3/rooms/" + url.PathEscape(s.c.set["room"]) + "/send/m.room.message/kept-" + s.notice
	raw, err := s.do(ctx, http.MethodPut, address, map[string]string{"Authorization": "Bearer " + s.c.set["token"]}, msg)
	var out struct {
		Event string `json:"event_id"`
		After int64  `json:"retry_after_ms"`
	}
	_ = json.Unmarshal(raw, &out)
	var f *failure
	if errors.As(err, &f) && out.After > 0 && out.After < 1e9 {
		f.after = time.Duration(out.After) * time.Millisecond
	}
	switch {
	case err != nil:
		return err
	case s.msg.Resolved:
		s.endThread(ctx)
	case s.thread == nil && out.Event != "":
		s.keepThread(ctx, thread{ID: out.Event, Place: place})
	}
	return nil
}
