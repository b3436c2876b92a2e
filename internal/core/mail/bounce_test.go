package mail

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const topic = "arn:aws:sns:eu-central-1:123456789012:mail"

// amazon stands in for SNS: it has a key and a certificate, and counts who confirms.
type amazon struct {
	key       *rsa.PrivateKey
	cert      []byte
	asked     []string
	confirmed int
}

func newAmazon(t *testing.T) *amazon {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: start.Add(-time.Hour), NotAfter: start.Add(48 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &amazon{key: key, cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *amazon) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked = append(a.asked, r.URL.Host)
	w := httptest.NewRecorder()
	if strings.HasSuffix(r.URL.Path, ".pem") {
		w.Write(a.cert)
	} else if r.URL.Query().Get("Action") == "ConfirmSubscription" {
		a.confirmed++
	}
	return w.Result(), nil
}

func (a *amazon) message(t *testing.T, kind, id, text string, change func(*snsMessage)) []byte {
	t.Helper()
	in := snsMessage{Type: kind, MessageId: id, TopicArn: topic, Message: text, Timestamp: start.Format(time.RFC3339), SignatureVersion: "2",
		SigningCertURL: "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0.pem"}
	if kind == "SubscriptionConfirmation" {
		in.Token, in.SubscribeURL = "t", "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
	}
	sum := sha256.Sum256([]byte(in.signedText()))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	in.Signature = base64.StdEncoding.EncodeToString(signature)
	if change != nil {
		change(&in)
	}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const mailgunKey = "signing-key"

func mailgunBody(at time.Time, token, event, severity, recipient, id string) []byte {
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(mailgunKey))
	mac.Write([]byte(stamp + token))
	return fmt.Appendf(nil, `{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":{"event":%q,"severity":%q,"recipient":%q,"message":{"headers":{"message-id":%q}}}}`,
		stamp, token, hex.EncodeToString(mac.Sum(nil)), event, severity, recipient, id)
}

// edge is the module behind a Mux, with both providers configured.
func edge(t *testing.T, b bundle) (post func(path string, body []byte) int, sns *amazon) {
	t.Helper()
	sns = newAmazon(t)
	b.d.Reports = Reports{MailgunKey: mailgunKey, SESTopic: topic, HTTP: &http.Client{Transport: sns}}
	mux, err := httpx.NewMux(httpx.Config{Clock: b.c.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := mux.Add(b.Routes()...); err != nil {
		t.Fatal(err)
	}
	return func(path string, body []byte) int {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("POST", path, bytes.NewReader(body)))
		return w.Code
	}, sns
}

func (b bundle) to(t *testing.T, mailType string) (sent bool) {
	t.Helper()
	before := len(b.sender.sent)
	m := testMail()
	m.Type = mailType
	b.send(t, m)
	b.drain(t, 1)
	return len(b.sender.sent) > before
}

func (b bundle) audited(t *testing.T, action string) (n int) {
	t.Helper()
	if err := b.db.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE action = $1 AND detail = '' AND actor_label <> 'ann@example.org'`, action).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBounceMarksTheAddress: whoever says that nobody has an address, mail to it stops, but for security notices, until
// somebody asks for another try or the memory ends.
func TestBounceMarksTheAddress(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		post, sns := edge(t, b)
		ways := map[string]func(i int){
			"smtp": func(int) {
				b.sender.errs = []error{&Fault{Class: "refused 550", Permanent: true, Bounce: true}}
				b.to(t, "reset")
			},
			"mailgun": func(i int) {
				b.to(t, "reset")
				id := "id-of-" + b.sender.sent[len(b.sender.sent)-1].ID
				if code := post("/hooks/mail/mailgun", mailgunBody(b.c.now(), fmt.Sprint("t", i), "failed", "permanent", "Ann@Example.org", id)); code != 204 {
					t.Fatalf("mailgun %d", code)
				}
			},
			"ses": func(i int) {
				text := `{"notificationType":"Bounce","mail":{"messageId":"x"},"bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"ann@example.org"}]}}`
				if code := post("/hooks/mail/ses", sns.message(t, "Notification", fmt.Sprint("m", i), text, nil)); code != 204 {
					t.Fatalf("ses %d", code)
				}
			},
			"ses event": func(i int) {
				text := `{"eventType":"Complaint","mail":{"messageId":"x"},"complaint":{"complainedRecipients":[{"emailAddress":"ann@example.org"}]}}`
				if code := post("/hooks/mail/ses", sns.message(t, "Notification", fmt.Sprint("c", i), text, nil)); code != 204 {
					t.Fatalf("ses %d", code)
				}
			},
		}
		i := 0
		for name, bounce := range ways {
			if i++; !b.to(t, "reset") {
				t.Fatalf("%s: marked before anything bounced", name)
			}
			bounce(i)
			mark, err := b.Undeliverable(t.Context(), " ANN@example.org")
			if err != nil || mark.Reason == "" || !mark.At.Equal(b.c.now()) {
				t.Errorf("%s: %+v, %v", name, mark, err)
			}
			if b.to(t, "reset") || b.to(t, "digest") {
				t.Errorf("%s: mail is sent all the same", name)
			}
			if !b.to(t, "notice") {
				t.Errorf("%s: a security notice is held back", name)
			}
			if err := b.Retry(t.Context(), "ann@example.org"); err != nil {
				t.Fatal(err)
			}
		}
		if b.audited(t, "mail.bounce") != 3 || b.audited(t, "mail.complaint") != 1 {
			t.Error("not each mark is in the audit log, without the address")
		}
		var bounced int
		if err := b.db.QueryRow(t.Context(), `SELECT count(*) FROM mail_outbox WHERE state = 'bounced'`).Scan(&bounced); err != nil || bounced != 1 {
			t.Errorf("%d mails are known to have come back, %v", bounced, err)
		}
		ways["mailgun"](99)
		b.c.add(BounceMemory)
		if !b.to(t, "reset") {
			t.Error("a bounce is remembered for ever")
		}
	})
}

// TestSoftBouncesMarkNothing: a full mailbox is full today.
func TestSoftBouncesMarkNothing(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		post, sns := edge(t, b)
		for i, body := range [][]byte{
			mailgunBody(b.c.now(), "a", "failed", "temporary", "ann@example.org", ""), mailgunBody(b.c.now(), "b", "delivered", "", "ann@example.org", ""),
		} {
			if code := post("/hooks/mail/mailgun", body); code != 204 {
				t.Errorf("%d: %d", i, code)
			}
		}
		for i, text := range []string{`{"notificationType":"Bounce","bounce":{"bounceType":"Transient","bouncedRecipients":[{"emailAddress":"ann@example.org"}]}}`,
			`Successfully validated SNS topic`, `{"notificationType":"Delivery"}`} {
			if code := post("/hooks/mail/ses", sns.message(t, "Notification", fmt.Sprint("s", i), text, nil)); code != 204 {
				t.Errorf("%s: %d", text, code)
			}
		}
		if !b.to(t, "reset") {
			t.Error("the address is marked")
		}
	})
}

// TestForgedWebhooksAreRefused: nobody but the providers can stop mail to an address, and a report counts once.
func TestForgedWebhooksAreRefused(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		post, sns := edge(t, b)
		good := mailgunBody(start, "tok", "failed", "permanent", "ann@example.org", "")
		for name, body := range map[string][]byte{
			"signature": bytes.Replace(good, []byte(`"tok"`), []byte(`"tik"`), 1), "old": mailgunBody(start.Add(-25*time.Hour), "t2", "failed", "permanent", "ann@example.org", ""),
			"future": mailgunBody(start.Add(time.Hour), "t3", "failed", "permanent", "ann@example.org", ""), "empty": []byte(`{}`),
		} {
			if code := post("/hooks/mail/mailgun", body); code != 403 {
				t.Errorf("mailgun, %s: %d", name, code)
			}
		}
		if code := post("/hooks/mail/mailgun", []byte("nonsense")); code != 400 {
			t.Errorf("mailgun, nonsense: %d", code)
		}
		text := `{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"ann@example.org"}]}}`
		for name, change := range map[string]func(*snsMessage){
			"text":         func(m *snsMessage) { m.Message = strings.Replace(m.Message, "ann@", "bob@", 1) },
			"topic":        func(m *snsMessage) { m.TopicArn = "arn:aws:sns:eu-central-1:666666666666:mail" },
			"version 1":    func(m *snsMessage) { m.SignatureVersion = "1" },
			"own host":     func(m *snsMessage) { m.SigningCertURL = "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem" },
			"userinfo":     func(m *snsMessage) { m.SigningCertURL = "https://sns.eu-central-1.amazonaws.com@evil.example/x.pem" },
			"other place":  func(m *snsMessage) { m.SigningCertURL = "https://sns.us-east-1.amazonaws.com/x.pem" },
			"plain http":   func(m *snsMessage) { m.SigningCertURL = "http://sns.eu-central-1.amazonaws.com/x.pem" },
			"no signature": func(m *snsMessage) { m.Signature = "" },
		} {
			if code := post("/hooks/mail/ses", sns.message(t, "Notification", "m-"+name, text, change)); code != 403 {
				t.Errorf("ses, %s: %d", name, code)
			}
		}
		confirm := sns.message(t, "SubscriptionConfirmation", "c1", "", func(m *snsMessage) { m.SubscribeURL = "https://evil.example/?Action=ConfirmSubscription" })
		if code := post("/hooks/mail/ses", confirm); code != 403 || sns.confirmed != 0 {
			t.Errorf("a confirmation that leads elsewhere: %d", code)
		}
		for _, host := range sns.asked {
			if host != "sns.eu-central-1.amazonaws.com" {
				t.Errorf("asked %s", host)
			}
		}
		if !b.to(t, "reset") {
			t.Fatal("a forged report marked the address")
		}
		if code := post("/hooks/mail/ses", sns.message(t, "SubscriptionConfirmation", "c2", "", nil)); code != 204 || sns.confirmed != 1 {
			t.Errorf("the configured topic: %d, %d", code, sns.confirmed)
		}

		if code := post("/hooks/mail/mailgun", good); code != 204 || b.to(t, "reset") {
			t.Errorf("the good one: %d", code)
		}
		if err := b.Retry(t.Context(), "ann@example.org"); err != nil {
			t.Fatal(err)
		}
		if code := post("/hooks/mail/mailgun", good); code != 204 || !b.to(t, "reset") {
			t.Errorf("the same report once more: %d", code)
		}

		b.d.Reports = Reports{}
		for _, path := range []string{"/hooks/mail/mailgun", "/hooks/mail/ses"} {
			if code := post(path, good); code != 404 {
				t.Errorf("%s, not configured: %d", path, code)
			}
		}
	})
}

// TestMarksNameNobody: who is marked cannot be read from the database.
func TestMarksNameNobody(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		if err := b.Choose(t.Context(), "ann@example.org", "digest", false); err != nil {
			t.Fatal(err)
		}
		var tag []byte
		if err := b.db.QueryRow(t.Context(), `SELECT address_tag FROM mail_suppressions`).Scan(&tag); err != nil || len(tag) != 32 {
			t.Fatalf("%x, %v", tag, err)
		}
		plain := sha256.Sum256([]byte("ann@example.org"))
		if bytes.Contains(tag, []byte("ann")) || bytes.Equal(tag, plain[:]) {
			t.Error("the tag can be found by guessing")
		}
		if err := b.Choose(t.Context(), "ann@example.org", "reset", false); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("mail that must come can be refused: %v", err)
		}
	})
}

func TestMarksAndReportsAreSwept(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		post, _ := edge(t, b)
		post("/hooks/mail/mailgun", mailgunBody(start, "tok", "failed", "permanent", "ann@example.org", ""))
		if err := b.Choose(t.Context(), "bob@example.org", "digest", false); err != nil {
			t.Fatal(err)
		}
		b.c.add(BounceMemory + time.Hour)
		for _, c := range b.Collections()[1:] {
			limit, err := c.MaxAge(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := c.Sweep(t.Context(), "", b.c.now().Add(-limit)); err != nil || n != 1 {
				t.Errorf("%s: %d, %v", c.Name, n, err)
			}
			if at, err := c.Oldest(t.Context(), ""); err != nil || !at.IsZero() {
				t.Errorf("%s: %v, %v", c.Name, at, err)
			}
		}
		if marks, err := b.marks(t.Context(), "bob@example.org"); err != nil || len(marks) != 1 {
			t.Errorf("a refusal went with the bounces: %v, %v", marks, err)
		}
	})
}

func FuzzReports(f *testing.F) {
	f.Add(mailgunBody(start, "tok", "failed", "permanent", "ann@example.org", "x"))
	f.Add([]byte(`{"TopicArn":"` + topic + `","Type":"Notification","SignatureVersion":"2","SigningCertURL":"https://sns.eu-central-1.amazonaws.com/x.pem"}`))
	m := &Module{d: Deps{Reports: Reports{MailgunKey: mailgunKey, SESTopic: topic, HTTP: &http.Client{Transport: nowhere{}}}, Logger: slog.New(slog.DiscardHandler), Clock: kernel.SystemClock}}
	f.Fuzz(func(t *testing.T, body []byte) {
		if rep, err := m.readMailgun(t.Context(), body); err == nil && rep.id == "" {
			t.Error("a report without a number is believed")
		}
		if _, err := m.readSES(t.Context(), body); err == nil {
			t.Error("a report without a signature is believed")
		}
		var r report
		_ = r.readSES(string(body))
		if len(r.addresses) > maxRecipients {
			t.Errorf("%d addresses", len(r.addresses))
		}
	})
}

type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }
