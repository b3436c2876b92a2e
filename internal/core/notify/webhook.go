package notify

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/prometheus/alertmanager/alert"

	"github.com/kept-dev/kept/internal/kernel"
)

// The headers of a webhook.
const (
	HeaderTimestamp = "Kept-Timestamp" // seconds since the Unix epoch
	HeaderSignature = "Kept-Signature" // v1=<hex>, twice with a comma between while a secret is being changed
	HeaderDelivery  = "Kept-Delivery"  // the same for all attempts at one notification
)

// secretOverlap is how long the old secret signs as well after a rotation.
const secretOverlap = 24 * time.Hour

func webhookKind() kind {
	return kind{
		Key: "webhook", Title: "Webhook", About: "Signed JSON to an address of yours, in the shape that Alertmanager sends.",
		Steps: []string{
			"Write a small HTTP endpoint, or take any that understands Alertmanager's webhook (version 4).",
			"You get a secret once the channel is made: check the signature with it. The documentation has a verifier to copy.",
		},
		Fields: []field{
			secretURL("url", "Address", "Where the JSON is posted to, with https."),
			optional(secret("authorization", "Authorization header", "Sent as it is, for example “Bearer …”. Leave it empty if the signature is enough.")),
		},
		prepare: func(set settings) error { set["secret"] = newWebhookSecret(); return nil },
		send:    sendWebhook,
	}
}

func newWebhookSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return "kwh_" + base64.RawURLEncoding.EncodeToString(raw)
}

// webhookBody is Alertmanager's payload of version 4 with fields of ours.
type webhookBody struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []webhookAlert    `json:"alerts"`

	Title     string `json:"title"`
	Severity  string `json:"severity"`
	Workspace string `json:"workspaceId"`
	Delivery  string `json:"deliveryId"`
}

type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`

	Value string       `json:"value,omitempty"`
	Links webhookLinks `json:"links"`
}

type webhookLinks struct {
	Alert       string `json:"alert,omitempty"`
	Silence     string `json:"silence,omitempty"`
	Acknowledge string `json:"acknowledge,omitempty"`
}

const maxWebhookAlerts = 500

func (s *shot) webhookBody(ctx context.Context) webhookBody {
	body := webhookBody{
		Version: "4", GroupKey: s.group, Status: "firing", Receiver: s.recv, GroupLabels: s.labels, CommonLabels: commonLabels(s.alerts),
		CommonAnnotations: commonAnnotations(s.alerts), ExternalURL: s.m.d.BaseURL(), Alerts: []webhookAlert{},
		Title: s.msg.Title, Severity: s.msg.Severity, Workspace: string(s.c.ws), Delivery: s.notice,
	}
	if s.msg.Resolved {
		body.Status = "resolved"
	}
	for i, a := range s.alerts {
		if i == maxWebhookAlerts {
			body.TruncatedAlerts = len(s.alerts) - i
			break
		}
		body.Alerts = append(body.Alerts, s.webhookAlert(ctx, a))
	}
	return body
}

func (s *shot) webhookAlert(ctx context.Context, a *alert.Alert) webhookAlert {
	links := s.m.links(ctx, s.c.ws, a)
	out := webhookAlert{Status: "firing", Labels: map[string]string{}, Annotations: map[string]string{}, StartsAt: a.StartsAt, GeneratorURL: a.GeneratorURL,
		Fingerprint: a.Fingerprint().String(), Value: string(a.Annotations[AnnotationValue]),
		Links: webhookLinks{Alert: links.Page, Silence: links.Silence, Acknowledge: links.Ack}}
	if a.ResolvedAt(s.now) {
		out.Status, out.EndsAt = "resolved", a.EndsAt
	}
	for n, v := range a.Labels {
		out.Labels[string(n)] = string(v)
	}
	for n, v := range a.Annotations {
		out.Annotations[string(n)] = string(v)
	}
	return out
}

func commonAnnotations(alerts []*alert.Alert) map[string]string {
	common := map[string]string{}
	for i, a := range alerts {
		if i == 0 {
			for n, v := range a.Annotations {
				common[string(n)] = string(v)
			}
		}
		for n, v := range common {
			if got, ok := findAnnotation(a, n); !ok || got != v {
				delete(common, n)
			}
		}
	}
	return common
}

func findAnnotation(a *alert.Alert, name string) (string, bool) {
	for n, v := range a.Annotations {
		if string(n) == name {
			return string(v), true
		}
	}
	return "", false
}

func sendWebhook(ctx context.Context, s *shot) error {
	body, err := marshal(s.webhookBody(ctx))
	if err != nil {
		return forGood("the message could not be written")
	}
	return s.sendSigned(ctx, body)
}

// sendSigned posts a body with the signature of the webhook's secret, and of the old one while that is being changed.
func (s *shot) sendSigned(ctx context.Context, body []byte) error {
	at := strconv.FormatInt(s.now.Unix(), 10)
	signature := "v1=" + Sign(s.c.set["secret"], at, body)
	if until, _ := strconv.ParseInt(s.c.set["old_until"], 10, 64); s.c.set["old_secret"] != "" && s.now.Unix() < until {
		signature += ",v1=" + Sign(s.c.set["old_secret"], at, body)
	}
	header := map[string]string{HeaderTimestamp: at, HeaderSignature: signature, HeaderDelivery: s.notice}
	if v := s.c.set["authorization"]; v != "" {
		header["Authorization"] = v
	}
	_, err := s.post(ctx, s.c.set["url"], header, body)
	return err
}

// Hook is a webhook of somebody who is no channel of a workspace, such as the subscriber of a status page.
type Hook struct {
	URL    string
	Secret string // NewHook makes one
}

// NewHook checks an address as a channel's is and makes a secret for it. The error is for the field of that name.
func (m *Module) NewHook(field, address string) (Hook, error) {
	if text := m.checkField(webhookKind().Fields[0], address); text != "" {
		return Hook{}, kernel.InvalidField(field, text)
	}
	return Hook{URL: address, Secret: newWebhookSecret()}, nil
}

// SendHook posts JSON to a webhook, signed as a channel's is. The delivery is the same for all attempts at one message.
// Retryable says of an error whether another try makes sense; its text names neither the address nor the secret.
func (m *Module) SendHook(ctx context.Context, h Hook, delivery string, message any) error {
	body, err := marshal(message)
	if err != nil {
		return forGood("the message could not be written")
	}
	s := &shot{m: m, k: webhookKind(), c: Channel{set: settings{"url": h.URL, "secret": h.Secret}}, now: m.d.Clock(), notice: delivery}
	return s.sendSigned(ctx, body)
}

// Retryable tells of an error of SendHook whether another try makes sense.
func Retryable(err error) bool { return asFailure(err).retry }

// Sign is the signature of a webhook: HMAC-SHA256 of the time, a dot and the body, under the channel's secret, in
// hexadecimal digits.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// RotateSecret gives a webhook a new secret, which is returned and never shown again. The old one signs as well for a day.
func (m *Module) RotateSecret(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (string, error) {
	c, err := m.Channel(ctx, ws, id)
	if err != nil {
		return "", err
	}
	if c.Kind != "webhook" {
		return "", kernel.Errorf(kernel.NotFound, "This channel has no secret of ours.")
	}
	c.set["old_secret"], c.set["old_until"] = c.set["secret"], strconv.FormatInt(m.d.Clock().Add(secretOverlap).Unix(), 10)
	c.set["secret"] = newWebhookSecret()
	return c.set["secret"], m.save(ctx, c)
}
