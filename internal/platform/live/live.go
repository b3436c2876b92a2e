// Package live tells open pages that what they show has changed.
package live

import (
	"net/http"

	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// Changes streams the event "changed" to a page for each message of a topic, until one of both goes away. What has changed
// is not said: the page asks for it with the rights of whoever looks.
func Changes(w http.ResponseWriter, r *http.Request, b bus.Bus, topic string) error {
	sub, err := b.Subscribe(r.Context(), topic)
	if err != nil {
		return err
	}
	defer sub.Close()
	return httpx.Stream(w, r, func(send func(string, []byte) error) error {
		for {
			if _, err := sub.Next(r.Context()); err != nil {
				return nil
			}
			if err := send("changed", []byte("{}")); err != nil {
				return nil
			}
		}
	})
}
