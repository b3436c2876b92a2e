// Package kept reports a Go program's background jobs to a Kept server, or to
// any other server that speaks the Jobviz protocol.
//
// Make one [Client] per program and hand it to whatever runs jobs:
//
//	client, err := kept.New(kept.Config{Endpoint: "https://kept.example.com", APIKey: key})
//	if err != nil {
//		log.Print(err) // a nil *Client is a client that does nothing
//	}
//	defer client.Close(ctx)
//
//	err = kept.Run(ctx, client, kept.Job{ID: "1", Name: "send-invoice", Queue: "mail"},
//		func(ctx context.Context, j *kept.Running) (any, error) { ... })
//
// Sub-package keptriver does the same for a whole River queue. [Client.Send] is
// the low level for everything else.
//
// # What it promises to the host program
//
//   - It never blocks: events go into a bounded buffer; when the buffer is full
//     the oldest are dropped, counted in [Stats] and told to Config.OnError.
//   - It never panics, whatever a payload's MarshalJSON does.
//   - It sends one request at a time, waits as long as the server asks it to,
//     and gives up only on answers that another try cannot change.
//   - [Client.Close] delivers what is left, within its context.
//
// # What leaves the program
//
// Payloads are redacted before they enter the buffer, by the rules of the
// server: values of well-known keys (password, token, ...), also where a text
// has them as password=... or "token": "...", and card numbers, bearer tokens,
// JWTs, keys of well-known services, private keys and URL credentials wherever
// they stand. [Redaction] changes the rules, [PayloadPolicy] leaves out values
// or whole payloads. Numbers, but for those of cards, are copied digit by digit
// and never pass through a float64.
package kept

// Version names this release of the SDK; the server sees it as "kept-go/<Version>".
const Version = "0.1.0"

const agentName = "kept-go/" + Version
