package mail

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// maxAnswer is how much of a provider's answer is read, in bytes.
const maxAnswer = 64 << 10

// newHTTPClient is a client for providers' interfaces. It follows no redirect: a key must not travel on.
func newHTTPClient() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// call sends a request and returns the status and the beginning of the answer.
func call(client *http.Client, r *http.Request) (status int, header http.Header, body []byte, err error) {
	res, err := client.Do(r)
	if err != nil {
		class := "no connection"
		if errors.Is(err, context.DeadlineExceeded) {
			class = "timed out"
		}
		return 0, nil, nil, &Fault{Class: class, Cause: err}
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		// The provider may have taken the mail; it will come twice, with one Message-ID, rather than not at all.
		return 0, nil, nil, &Fault{Class: "answer was cut off", Cause: err}
	}
	return res.StatusCode, res.Header, body, nil
}
