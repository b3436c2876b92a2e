package jobs

import (
	"fmt"

	"github.com/kept-dev/kept/internal/kernel"
)

// connectView says how a first job gets here.
type connectView struct {
	KeysHref string
	Curl     string
	Node     string
	Go       string
}

// keyPlaceholder stands where the reader puts a key of his own.
const keyPlaceholder = "YOUR_API_KEY"

func (m *Module) connect(ws kernel.WorkspaceID) *connectView {
	base := m.d.BaseURL()
	return &connectView{
		KeysHref: "/w/" + string(ws) + "/settings/api-keys",
		Curl: fmt.Sprintf(`curl -sS %s/api/v1/events \
  -H "Authorization: Bearer %s" -H "Content-Type: application/json" \
  -d '{"events":[{"jobId":"1","jobName":"hello","queue":"test","event":"completed","timestamp":'"$(date +%%s)"'000}]}'`,
			base, keyPlaceholder),
		Node: fmt.Sprintf(`// npm install jobviz-agent
import { initJobviz } from "jobviz-agent";

initJobviz({
  apiKey: %q,
  endpoint: %q,
  queues: ["emails"], // of BullMQ
  redisUrl: process.env.REDIS_URL,
});`, keyPlaceholder, base),
		Go: fmt.Sprintf(`client, err := kept.New(kept.Config{
	Endpoint: %q,
	APIKey:   %q,
})
if err != nil {
	log.Print(err) // a nil client does nothing
}
defer client.Close(ctx)

job := kept.Job{ID: "1", Name: "hello", Queue: "test"}
work := func(ctx context.Context, j *kept.Running) (any, error) {
	j.Log("working", nil)
	return nil, nil
}
err = kept.Run(ctx, client, job, work)`, base, keyPlaceholder),
	}
}
