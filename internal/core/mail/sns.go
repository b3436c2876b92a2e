package mail

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// snsMessage is what SNS posts: a notification, or the question whether we want any.
type snsMessage struct {
	Type, MessageId, TopicArn, Subject, Message, Timestamp, Token, SubscribeURL string
	SignatureVersion, Signature, SigningCertURL                                 string
}

// snsHost is what certificates and confirmations come from, and nothing else.
var snsHost = regexp.MustCompile(`^sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)

// SNSHost is where certificates and confirmations of a topic come from; empty for what is no topic.
func SNSHost(topic string) string {
	parts := strings.Split(topic, ":") // arn:aws:sns:region:account:name
	if len(parts) != 6 {
		return ""
	}
	host := "sns." + parts[3] + ".amazonaws.com"
	if parts[1] == "aws-cn" {
		host += ".cn"
	}
	if !snsHost.MatchString(host) {
		return ""
	}
	return host
}

// readSES checks a message of SNS and reads what SES says in it.
func (m *Module) readSES(ctx context.Context, body []byte) (rep report, err error) {
	topic := m.d.Reports.SESTopic
	if topic == "" {
		return rep, errNoHook
	}
	var in snsMessage
	if err := json.Unmarshal(body, &in); err != nil {
		return rep, kernel.Wrap(err, kernel.Malformed, "The report is not JSON.")
	}
	if in.TopicArn != topic {
		return rep, errForged
	}
	if err := m.checkSNS(ctx, in); err != nil {
		m.d.Logger.Warn("a report about mail is not believed", slog.Any("cause", err))
		return rep, errForged
	}
	if rep.at, err = time.Parse(time.RFC3339, in.Timestamp); err != nil || in.MessageId == "" {
		return rep, errForged
	}
	rep.id = in.MessageId
	switch in.Type {
	case "SubscriptionConfirmation":
		return rep, m.confirmSNS(ctx, in)
	case "Notification":
		err = rep.readSES(in.Message)
	}
	return rep, err
}

// checkSNS verifies the signature, of version 2 only: version 1 is made with SHA-1.
func (m *Module) checkSNS(ctx context.Context, in snsMessage) error {
	if in.SignatureVersion != "2" {
		return fmt.Errorf("signature version %q: set the topic's SignatureVersion to 2", in.SignatureVersion)
	}
	signature, err := base64.StdEncoding.DecodeString(in.Signature)
	if err != nil {
		return err
	}
	if !m.fromSNS(in.SigningCertURL) {
		return errors.New("the certificate is not one of the topic's SNS")
	}
	key, err := m.certs.get(ctx, m.d.Reports.HTTP, in.SigningCertURL, m.d.Clock())
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(in.signedText()))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
}

// signedText is the text that SNS signs: names and values by the alphabet.
func (in snsMessage) signedText() string {
	pairs := [][2]string{{"Message", in.Message}, {"MessageId", in.MessageId}}
	if in.Type == "Notification" {
		if in.Subject != "" {
			pairs = append(pairs, [2]string{"Subject", in.Subject})
		}
		pairs = append(pairs, [2]string{"Timestamp", in.Timestamp})
	} else {
		pairs = append(pairs, [2]string{"SubscribeURL", in.SubscribeURL}, [2]string{"Timestamp", in.Timestamp}, [2]string{"Token", in.Token})
	}
	var b strings.Builder
	for _, p := range append(pairs, [2]string{"TopicArn", in.TopicArn}, [2]string{"Type", in.Type}) {
		b.WriteString(p[0] + "\n" + p[1] + "\n")
	}
	return b.String()
}

// confirmSNS says yes to the configured topic.
func (m *Module) confirmSNS(ctx context.Context, in snsMessage) error {
	if !m.fromSNS(in.SubscribeURL) {
		return errForged
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, in.SubscribeURL, nil)
	if err != nil {
		return errForged
	}
	status, _, _, err := call(m.d.Reports.HTTP, r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("SNS answered %d", status)
	}
	if err != nil {
		return kernel.Wrap(err, kernel.Unavailable, "The subscription could not be confirmed. Try again.")
	}
	m.d.Logger.Info("reports about mail are subscribed to", slog.String("topic", in.TopicArn))
	return nil
}

// fromSNS tells whether an address is the topic's SNS: what is posted to us must not make us connect elsewhere.
func (m *Module) fromSNS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Host == SNSHost(m.d.Reports.SESTopic) && u.User == nil
}

// sesEvent is the part of a notification that we read.
type sesEvent struct {
	NotificationType, EventType string // which of the two depends on how it was set up
	Mail                        struct{ MessageId string }
	Bounce                      struct {
		BounceType        string
		BouncedRecipients []sesRecipient
	}
	Complaint struct{ ComplainedRecipients []sesRecipient }
}

type sesRecipient struct{ EmailAddress string }

// maxRecipients of one report; our mails have one.
const maxRecipients = 50

func (rep *report) readSES(text string) error {
	var in sesEvent
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil // SNS also tells, in plain words, that the subscription works
	}
	var who []sesRecipient
	switch in.NotificationType + in.EventType {
	case "Bounce":
		if in.Bounce.BounceType == "Permanent" { // the others are full mailboxes and holidays
			rep.reason, who = Bounce, in.Bounce.BouncedRecipients
		}
	case "Complaint":
		rep.reason, who = Complaint, in.Complaint.ComplainedRecipients
	}
	rep.providerID = in.Mail.MessageId
	for i, r := range who {
		if r.EmailAddress == "" || i >= maxRecipients {
			return kernel.Errorf(kernel.Malformed, "The report's recipients cannot be read.")
		}
		rep.addresses = append(rep.addresses, r.EmailAddress)
	}
	return nil
}

// certificates remembers SNS's signing keys; there are few, and they last for months.
type certificates struct {
	mu    sync.Mutex
	known map[string]*x509.Certificate
}

const maxCertificates = 16

func (c *certificates) get(ctx context.Context, client *http.Client, address string, now time.Time) (*rsa.PublicKey, error) {
	c.mu.Lock()
	cert := c.known[address]
	c.mu.Unlock()
	if cert == nil {
		var err error
		if cert, err = fetchCertificate(ctx, client, address); err != nil {
			return nil, err
		}
		c.keep(address, cert)
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, errors.New("the certificate is not valid now")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("the certificate has no RSA key")
	}
	return key, nil
}

func (c *certificates) keep(address string, cert *x509.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxCertificates {
		c.known = map[string]*x509.Certificate{}
	}
	c.known[address] = cert
}

func fetchCertificate(ctx context.Context, client *http.Client, address string) (*x509.Certificate, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	status, _, text, err := call(client, r)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if status != http.StatusOK || block == nil {
		return nil, fmt.Errorf("no certificate: SNS answered %d", status)
	}
	return x509.ParseCertificate(block.Bytes)
}
