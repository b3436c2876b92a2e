package mail

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// MailgunConfig says whose account at Mailgun sends our mail.
type MailgunConfig struct {
	Domain string // the sending domain
	Key    string // an API key that may send
	Region string // "us" when empty, or "eu"
	HTTP   *http.Client
	base   string
}

// mailgunHosts are the hosts of Mailgun's interface by region.
var mailgunHosts = map[string]string{"": "api.mailgun.net", "us": "api.mailgun.net", "eu": "api.eu.mailgun.net"}

// MailgunHost is the host that a region's mail goes to; empty for a region that there is not.
func MailgunHost(region string) string { return mailgunHosts[region] }

// Mailgun sends through Mailgun's HTTP interface.
type Mailgun struct{ cfg MailgunConfig }

// NewMailgun checks the configuration; it does not connect.
func NewMailgun(cfg MailgunConfig) (*Mailgun, error) {
	host := MailgunHost(cfg.Region)
	switch {
	case host == "":
		return nil, fmt.Errorf("mail: Mailgun's region is %q, but must be us or eu", cfg.Region)
	case cfg.Key == "" || cfg.Domain == "" || strings.ContainsAny(cfg.Domain, "/?# "):
		return nil, errors.New("mail: Mailgun needs the sending domain and an API key")
	}
	if cfg.base == "" {
		cfg.base = "https://" + host
	}
	if cfg.HTTP == nil {
		cfg.HTTP = newHTTPClient()
	}
	return &Mailgun{cfg}, nil
}

// Send hands the message over as we composed it, with Mailgun's counting of opens and clicks switched off.
func (g *Mailgun) Send(ctx context.Context, msg Message) (string, error) {
	body, contentType, err := mailgunForm(msg)
	if err != nil {
		return "", &Fault{Class: "address is not valid", Permanent: true, Cause: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.cfg.base+"/v3/"+url.PathEscape(g.cfg.Domain)+"/messages.mime", body)
	if err != nil {
		return "", &Fault{Class: "request could not be made", Permanent: true, Cause: err}
	}
	r.Header.Set("Content-Type", contentType)
	r.SetBasicAuth("api", g.cfg.Key)
	status, _, answer, err := call(g.cfg.HTTP, r)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", &Fault{Class: fmt.Sprintf("refused %d", status), Permanent: refusedForGood(status), Cause: fmt.Errorf("mailgun answered %d", status)}
	}
	var taken struct{ ID string }
	_ = json.Unmarshal(answer, &taken) // it has the mail, whatever else it says
	return strings.Trim(taken.ID, "<>"), nil
}

// refusedForGood tells what is wrong with the mail from what is wrong with the account, which the operator will mend, or
// with the provider.
func refusedForGood(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

func mailgunForm(msg Message) (*bytes.Buffer, string, error) {
	composed, err := compose(msg)
	if err != nil {
		return nil, "", err
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, field := range [][2]string{{"to", msg.To}, {"o:tracking", "no"}, {"o:tracking-clicks", "no"}, {"o:tracking-opens", "no"}} {
		if err := form.WriteField(field[0], field[1]); err != nil {
			return nil, "", err
		}
	}
	part, err := form.CreateFormFile("message", "message.eml")
	if err != nil {
		return nil, "", err
	}
	if _, err := composed.WriteTo(part); err != nil {
		return nil, "", err
	}
	return &body, form.FormDataContentType(), form.Close()
}

// mailgunReport is the part of a webhook's body that we read.
type mailgunReport struct {
	Signature struct{ Timestamp, Token, Signature string }
	Data      struct {
		Event     string
		Severity  string
		Recipient string
		Message   struct {
			Headers struct {
				ID string `json:"message-id"`
			}
		}
	} `json:"event-data"`
}

// readMailgun checks a webhook's signature and reads it.
func (m *Module) readMailgun(_ context.Context, body []byte) (rep report, err error) {
	if m.d.Reports.MailgunKey == "" {
		return rep, errNoHook
	}
	var in mailgunReport
	if err := json.Unmarshal(body, &in); err != nil {
		return rep, kernel.Wrap(err, kernel.Malformed, "The report is not JSON.")
	}
	mac := hmac.New(sha256.New, []byte(m.d.Reports.MailgunKey))
	mac.Write([]byte(in.Signature.Timestamp + in.Signature.Token))
	got, err := hex.DecodeString(in.Signature.Signature)
	if err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		return rep, errForged
	}
	seconds, err := strconv.ParseInt(in.Signature.Timestamp, 10, 64)
	if err != nil || in.Signature.Token == "" {
		return rep, errForged
	}
	rep = report{id: in.Signature.Token, at: time.Unix(seconds, 0), providerID: in.Data.Message.Headers.ID, addresses: []string{in.Data.Recipient}}
	switch {
	case in.Data.Recipient == "":
	case in.Data.Event == "failed" && in.Data.Severity == "permanent":
		rep.reason = Bounce
	case in.Data.Event == "complained":
		rep.reason = Complaint
	}
	return rep, nil
}
