package mail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
)

// SESConfig says whose account at Amazon SES sends our mail. The key needs ses:SendEmail and nothing else.
type SESConfig struct {
	Region       string // "eu-central-1"
	AccessKey    string
	SecretKey    string
	SessionToken string // of temporary credentials
	HTTP         *http.Client
	Clock        kernel.Clock
	base         string
}

// SES sends through Amazon SES's HTTP interface, version 2.
type SES struct {
	cfg SESConfig
	key awsKey
}

var awsRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)

// SESHost is the host that a region's mail goes to; empty for what is no region.
func SESHost(region string) string {
	switch {
	case !awsRegion.MatchString(region):
		return ""
	case strings.HasPrefix(region, "cn-"):
		return "email." + region + ".amazonaws.com.cn"
	}
	return "email." + region + ".amazonaws.com"
}

// NewSES checks the configuration; it does not connect.
func NewSES(cfg SESConfig) (*SES, error) {
	host := SESHost(cfg.Region)
	switch {
	case host == "":
		return nil, fmt.Errorf("mail: %q is not an AWS region such as eu-central-1", cfg.Region)
	case cfg.AccessKey == "" || cfg.SecretKey == "":
		return nil, errors.New("mail: SES needs an access key and its secret")
	}
	if cfg.base == "" {
		cfg.base = "https://" + host
	}
	if cfg.HTTP == nil {
		cfg.HTTP = newHTTPClient()
	}
	if cfg.Clock == nil {
		cfg.Clock = kernel.SystemClock
	}
	return &SES{cfg, awsKey{id: cfg.AccessKey, secret: cfg.SecretKey, session: cfg.SessionToken, region: cfg.Region, service: "ses"}}, nil
}

// sesRequest is SendEmail with a message that we composed.
type sesRequest struct {
	Destination struct{ ToAddresses []string }
	Content     struct{ Raw struct{ Data []byte } }
}

// Send hands the message over as we composed it.
func (s *SES) Send(ctx context.Context, msg Message) (string, error) {
	body, err := sesBody(msg)
	if err != nil {
		return "", &Fault{Class: "address is not valid", Permanent: true, Cause: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.base+"/v2/email/outbound-emails", bytes.NewReader(body))
	if err != nil {
		return "", &Fault{Class: "request could not be made", Permanent: true, Cause: err}
	}
	r.Header.Set("Content-Type", "application/json")
	s.key.sign(r, body, s.cfg.Clock())
	status, header, answer, err := call(s.cfg.HTTP, r)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", sesFault(status, header, answer)
	}
	var taken struct{ MessageId string }
	_ = json.Unmarshal(answer, &taken) // it has the mail, whatever else it says
	return taken.MessageId, nil
}

func sesBody(msg Message) ([]byte, error) {
	composed, err := compose(msg)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	if _, err := composed.WriteTo(&raw); err != nil {
		return nil, err
	}
	var in sesRequest
	in.Destination.ToAddresses = []string{msg.To}
	in.Content.Raw.Data = raw.Bytes()
	return json.Marshal(in)
}

// sesAccount are the errors that come as 400 and are about the account or its limits, not about the mail.
var sesAccount = map[string]bool{
	"AccountSuspendedException": true, "LimitExceededException": true, "SendingPausedException": true,
	"MailFromDomainNotVerifiedException": true, "TooManyRequestsException": true,
}

// sesFault reads the name of an error, which AWS writes in a header or in the body. The text beside it may repeat the
// address, so it is left out.
func sesFault(status int, header http.Header, answer []byte) *Fault {
	name := header.Get("X-Amzn-Errortype")
	if name == "" {
		var in struct {
			Type string `json:"__type"`
		}
		_ = json.Unmarshal(answer, &in)
		name = in.Type[strings.LastIndexByte(in.Type, '#')+1:]
	}
	name, _, _ = strings.Cut(name, ":")
	if !plainName.MatchString(name) {
		name = "an error without a name"
	}
	return &Fault{Class: fmt.Sprintf("refused %d %s", status, name), Permanent: refusedForGood(status) && !sesAccount[name],
		Cause: fmt.Errorf("SES answered %d %s", status, name)}
}

var plainName = regexp.MustCompile(`^[A-Za-z]{1,60}$`)
