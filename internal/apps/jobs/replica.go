package jobs

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
)

// agendaQueue is the queue of all of Agenda's jobs, which may share an agent with another provider's.
const agendaQueue = "agenda"

// replica numbers the events of a request when its agent is one of which every replica tells of every event, and its
// connection tells the replicas apart: nil otherwise. Behind a proxy the connection is the proxy's.
func (m *Module) replica(r *http.Request, body []byte) *fold.Request {
	if !broadcasts(r.Header.Get("X-Jobviz-Agent-Meta")) {
		return nil
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "Via"} {
		if r.Header.Get(name) != "" {
			return nil
		}
	}
	return m.streams.Request(xxhash.Sum64String(r.RemoteAddr), xxhash.Sum64(body))
}

// broadcasts tells by the Node agent's description of itself whether it follows a queue's events, which go to all who
// listen. Agenda's and the PHP agents' report what their own process does.
func broadcasts(meta string) bool {
	var m struct{ Provider string }
	if meta == "" || json.Unmarshal([]byte(meta), &m) != nil {
		return false
	}
	return strings.HasPrefix(m.Provider, "BullMQ") || strings.HasPrefix(m.Provider, "Bee") || m.Provider == "MultiProvider"
}
