package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/kept-dev/kept/internal/agent/host"
	"github.com/kept-dev/kept/wire/agentapi"
)

// Describe is what the agent tells a server about the machine.
func (a *Agent) Describe() agentapi.Host {
	h := a.host.Describe()
	h.Instance = a.conf.Instance
	h.Agent = a.conf.Version
	h.Interval = int(a.conf.Interval.Seconds())
	h.Labels = a.conf.Labels
	return h
}

// greet says hello when the agent starts and now and then, until ctx ends.
func (a *Agent) greet(ctx context.Context) {
	self := a.describeOnce()
	said := ""
	for delay := 10 * time.Second; ctx.Err() == nil; {
		answer, err := a.hello(ctx, self)
		wait := agentapi.HelloEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if said != err.Error() {
				a.conf.Log.Warn("the server was not told about this host", "error", err)
			}
			said = err.Error()
			delay = min(2*delay, wait)
			wait = delay
		default:
			said, delay = "", 10*time.Second
			a.greeted(answer)
			a.renew(ctx)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// describeOnce uses a reader of its own, for the measuring goroutine has the other.
func (a *Agent) describeOnce() agentapi.Host {
	own := &Agent{conf: a.conf, host: host.New(a.hostOptions())}
	return own.Describe()
}

// greeted looks at the server's clock and version.
func (a *Agent) greeted(answer agentapi.HelloResponse) {
	if answer.Agent != "" && answer.Agent != a.conf.Version {
		a.conf.Log.Info("the server has another version of the agent", "this", a.conf.Version, "server", answer.Agent)
	}
	if answer.Now == 0 {
		return
	}
	skew := time.Since(time.UnixMilli(answer.Now)).Round(time.Millisecond)
	if before := a.skew.Swap(&skew); skew.Abs() > time.Minute && (before == nil || before.Abs() <= time.Minute) {
		a.conf.Log.Warn("the clocks of this host and of the server differ", "ahead", skew)
	}
}

func (a *Agent) hello(ctx context.Context, self agentapi.Host) (answer agentapi.HelloResponse, err error) {
	message := agentapi.Hello{Host: self, Now: time.Now().UnixMilli()}
	if oldest, any := a.spool.Oldest(); any {
		message.Buffered = max(message.Now-oldest, 0) / 1000
	}
	err = post(ctx, a.client, a.conf.at(agentapi.PathHello), a.conf.Key, message, &answer)
	return answer, err
}

// Enrol exchanges a one-time token for a key. Where TLS ends at the server, it is for a certificate that the agent makes
// for itself and keeps in its folder: then the answer has no key.
func Enrol(ctx context.Context, conf Config, token string) (agentapi.EnrolResponse, error) {
	var answer agentapi.EnrolResponse
	conf.fill()
	if err := checkURL(conf.Server); err != nil {
		return answer, err
	}
	a := &Agent{conf: conf}
	id, err := newIdentity(time.Now())
	if err != nil {
		return answer, err
	}
	a.identity.Store(id)
	client, err := conf.client(&a.identity)
	if err != nil {
		return answer, err
	}
	defer client.CloseIdleConnections()
	a.host = host.New(a.hostOptions())
	defer a.host.Close()
	err = post(ctx, client, conf.at(agentapi.PathEnrol), "", agentapi.EnrolRequest{Token: token, Host: a.Describe()}, &answer)
	switch {
	case err != nil:
		return answer, err
	case answer.Until > 0:
		return answer, id.save(conf.StateDir)
	case answer.Key == "":
		return answer, errors.New("the server gave no key")
	}
	if err := os.Remove(identityFile(conf.StateDir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return answer, err // of an enrolment before
	}
	return answer, nil
}

// post sends JSON and reads JSON.
func post(ctx context.Context, client *http.Client, address, key string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "kept-agent")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, agentapi.MaxBody))
	if err != nil {
		return err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return refusal(answer, text)
	}
	return json.Unmarshal(text, out)
}

// refusal is what the server says, for people.
func refusal(answer *http.Response, text []byte) error {
	var problem struct{ Title, Detail string }
	said := answer.Status
	if json.Unmarshal(text, &problem) == nil && problem.Title+problem.Detail != "" {
		said = problem.Title
		if problem.Detail != "" {
			said = problem.Detail
		}
	}
	if location := answer.Header.Get("Location"); location != "" {
		return fmt.Errorf("the server is elsewhere: %s", location)
	}
	return fmt.Errorf("the server says: %.300s", said)
}
