package kept_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	kept "github.com/kept-dev/kept/sdk/go"
)

// printing is a server that prints what it gets.
func printing() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(os.Stdout, r.Body)
		fmt.Println()
	}))
}

func clock() time.Time { return time.UnixMilli(1772000000000) }

// A job that runs in this program, from its queue to its end.
func ExampleRun() {
	server := printing()
	defer server.Close()
	client, err := kept.New(kept.Config{Endpoint: server.URL, APIKey: "kept_0123456789", Now: clock})
	if err != nil {
		fmt.Println(err)
	}
	ctx := context.Background()

	job := kept.Job{ID: "1", Name: "charge", Queue: "billing", Attempt: 1, MaxAttempts: 3}
	err = kept.Run(ctx, client, job, func(ctx context.Context, j *kept.Running) (any, error) {
		j.Log("calling the bank", nil)
		return nil, errors.New("bank is closed")
	})
	fmt.Println(err)
	client.Close(ctx)
	// Output:
	// bank is closed
	// {"events":[{"jobId":"1","jobName":"charge","queue":"billing","event":"active","timestamp":1772000000000,"data":{"attemptsMade":1}},{"jobId":"1","jobName":"charge","queue":"billing","event":"progress","timestamp":1772000000000,"data":{"log":{"message":"calling the bank"}}},{"jobId":"1","jobName":"charge","queue":"billing","event":"failed","timestamp":1772000000000,"data":{"failedReason":"[retrying] bank is closed","stack":"*errors.errorString: bank is closed","attemptsMade":1}}]}
}

// The low level: one event, and what redaction makes of it.
func ExampleClient_Send() {
	server := printing()
	defer server.Close()
	client, err := kept.New(kept.Config{Endpoint: server.URL, APIKey: "kept_0123456789", Now: clock, Env: "production"})
	if err != nil {
		fmt.Println(err)
	}
	client.Send(kept.Event{
		Kind: kept.Waiting, JobID: "77", JobName: "welcome-mail", Queue: "mail",
		Data: kept.Data{Input: map[string]any{"to": "ada@example.com", "token": "abc", "account": int64(9007199254740993)}},
	})
	client.Close(context.Background())
	// Output:
	// {"events":[{"jobId":"77","jobName":"welcome-mail","queue":"mail","event":"waiting","timestamp":1772000000000,"env":"production","data":{"input":{"account":9007199254740993,"to":"ada@example.com","token":"[REDACTED]"}}}]}
}

// A program that also runs where no server is set up.
func ExampleNew_notConfigured() {
	client, err := kept.New(kept.Config{})
	if errors.Is(err, kept.ErrNotConfigured) {
		fmt.Println("jobs are not reported")
	}
	client.Deployment("1.4.2", "", "") // a nil client does nothing
	// Output: jobs are not reported
}
