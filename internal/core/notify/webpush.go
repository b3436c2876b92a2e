package notify

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/egress"
)

// Web push is written here from RFC 8030 (delivery), 8291 (encryption) and 8292 (VAPID): it is little more than a hundred
// lines on the standard library's cryptography, and every byte of it goes out by our own client.

func webpushKind() kind {
	return kind{
		Key: "webpush", Title: "Browser notifications", About: "To browsers of members on desks and phones, also when Kept is not open.",
		Steps: []string{"Make the channel, then turn notifications on in each browser that shall get them: the button is on the channel's page.",
			"On an iPhone add Kept to the home screen first. Kept must be reached by https."},
		prepare: prepareWebpush, send: sendWebpush,
	}
}

func prepareWebpush(set settings) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := key.Bytes()
	if err != nil {
		return err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return err
	}
	set["vapid"], set["vapid_public"] = b64(private), b64(public)
	return nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unb64(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s), "="))
}

// subscription is what a browser says of itself (PushSubscription.toJSON).
type subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256DH string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
	Browser string `json:"browser"` // "Firefox on Linux"
}

// parts are the browser's public key and its secret.
func (s subscription) parts() (public *ecdh.PublicKey, auth []byte, err error) {
	raw, err := unb64(s.Keys.P256DH)
	if err != nil {
		return nil, nil, err
	}
	if public, err = ecdh.P256().NewPublicKey(raw); err != nil {
		return nil, nil, err
	}
	if auth, err = unb64(s.Keys.Auth); err == nil && len(auth) != 16 {
		err = errors.New("notify: the secret of a subscription must have 16 bytes")
	}
	return public, auth, err
}

const (
	pushRecord = 4096 // bytes, the most that every push service takes
	maxPush    = 2800 // bytes of a message before it is padded
	pushTTL    = 6 * time.Hour
)

// encrypt seals a message for one browser (RFC 8291, one record of RFC 8188). All messages are padded to one length.
func encrypt(message []byte, sub subscription, random func([]byte), private *ecdh.PrivateKey) ([]byte, error) {
	public, auth, err := sub.parts()
	if err != nil {
		return nil, err
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return nil, err
	}
	salt, ours := make([]byte, 16), private.PublicKey().Bytes()
	random(salt)
	info := append(append([]byte("WebPush: info\x00"), public.Bytes()...), ours...)
	ikm, err := hkdf.Key(sha256.New, shared, auth, string(info), 32)
	if err != nil {
		return nil, err
	}
	gcm, nonce, err := recordKey(ikm, salt)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Write(salt)
	out.Write(binary.BigEndian.AppendUint32(nil, pushRecord))
	out.WriteByte(byte(len(ours)))
	out.Write(ours)
	room := 3072 - len(message)
	if room < 1 {
		return nil, errors.New("notify: the message is too long")
	}
	padded := append(append(bytes.Clone(message), 2), make([]byte, room-1)...)
	return gcm.Seal(out.Bytes(), nonce, padded, nil), nil
}

// recordKey is the cipher and the nonce of a stream's first record.
func recordKey(ikm, salt []byte) (cipher.AEAD, []byte, error) {
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return gcm, nonce, err
}

// vapid is the header by which a push service knows who sends (RFC 8292).
func vapid(set settings, endpoint, subject string, now time.Time) (string, error) {
	raw, err := unb64(set["vapid"])
	if err != nil {
		return "", err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{"aud": u.Scheme + "://" + u.Host, "exp": now.Add(12 * time.Hour).Unix(), "sub": subject})
	if err != nil {
		return "", err
	}
	text := b64([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + b64(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return "vapid t=" + text + "." + b64(signature) + ", k=" + set["vapid_public"], nil
}

// pushMessage is what our service worker shows.
type pushMessage struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Tag   string `json:"tag"` // replaces what was shown with the same
	Href  string `json:"href,omitempty"`
	Stay  bool   `json:"stay,omitempty"` // until somebody closes it
}

func sendWebpush(ctx context.Context, s *shot) error {
	browsers, err := s.m.browsers(ctx, s.c)
	if err != nil {
		return err
	}
	if len(browsers) == 0 {
		return forGood("no browser has turned notifications on")
	}
	msg := pushMessage{Title: clip(s.msg.Title, 200), Body: clipBytes(s.msg.pushText(800), 1600), Tag: s.key[:32], Stay: s.msg.Severity == critical && !s.msg.Resolved}
	if len(s.msg.Link) < 800 {
		msg.Href = s.msg.Link
	}
	raw, err := marshal(msg)
	if err != nil || len(raw) > maxPush {
		return forGood("the message is too long")
	}
	sent, gone := 0, 0
	var last *failure
	for _, b := range browsers {
		switch f := s.push(ctx, b.sub, raw); {
		case f == nil:
			sent++
		case s.status == http.StatusNotFound || s.status == http.StatusGone:
			gone++
			s.m.dropBrowser(ctx, b.ID)
		default:
			last = f
		}
	}
	return s.pushed(sent, gone, last)
}

// pushed sums up. As soon as one browser has it the alert has reached somebody; to try again for the others would show it
// there twice.
func (s *shot) pushed(sent, gone int, last *failure) error {
	switch {
	case sent == 0 && last != nil:
		return last
	case sent == 0:
		return forGood("no browser has notifications turned on any more")
	}
	s.answer = fmt.Sprintf("%d browsers", sent)
	if sent == 1 {
		s.answer = "1 browser"
	}
	if gone > 0 {
		s.partial = fmt.Sprintf("%s; %d turned notifications off and are forgotten", s.answer, gone)
	}
	if last != nil {
		s.partial = firstOf(s.partial, s.answer) + "; another: " + last.text
	}
	return nil
}

func (s *shot) push(ctx context.Context, sub subscription, message []byte) *failure {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return asFailure(err)
	}
	body, err := encrypt(message, sub, func(b []byte) { rand.Read(b) }, private)
	if err != nil {
		return &failure{text: "the browser's keys cannot be used"}
	}
	subject := s.m.d.BaseURL()
	if !strings.HasPrefix(subject, "https://") {
		subject = "https://github.com/kept-dev/kept" // push services want an address that is one
	}
	auth, err := vapid(s.c.set, sub.Endpoint, subject, s.now)
	if err != nil {
		return &failure{text: "the channel's keys cannot be used"}
	}
	u, err := url.Parse(sub.Endpoint)
	if err != nil {
		return &failure{text: "the browser's address cannot be used"}
	}
	s.private = append(strings.FieldsFunc(auth, func(r rune) bool { return strings.ContainsRune(" =,.", r) }), sub.Endpoint, u.RequestURI(), sub.Keys.Auth, sub.Keys.P256DH)
	s.private = append(s.private, strings.Split(u.Path, "/")...)
	s.private = slices.DeleteFunc(s.private, func(v string) bool { return len(v) < 8 })
	urgency := map[string]string{critical: "high", warning: "high", info: "normal"}[s.msg.Severity]
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.Endpoint, bytes.NewReader(body))
	if err != nil {
		return &failure{text: "the browser's address cannot be used"}
	}
	for name, value := range map[string]string{"Content-Type": "application/octet-stream", "Content-Encoding": "aes128gcm", "Authorization": auth,
		"TTL": fmt.Sprint(int(pushTTL.Seconds())), "Urgency": urgency, "Topic": s.key[:32]} {
		r.Header.Set(name, value)
	}
	res, err := s.m.d.Out.HTTP().Do(r)
	if err != nil {
		s.status = 0
		return &failure{text: egress.Reason(err), retry: !errors.Is(err, egress.ErrPrivate)}
	}
	defer res.Body.Close()
	_, err = s.read(res)
	return asFailure(err)
}

// Browser is one that has turned notifications on.
type Browser struct {
	ID        kernel.ID
	AccountID kernel.AccountID
	Owner     string // address
	Name      string // "Firefox on Linux"
	CreatedAt time.Time

	sub subscription
}

func browserAAD(id kernel.ID) []byte { return []byte("notify/browser/" + id) }

func (m *Module) browsers(ctx context.Context, c Channel) (out []Browser, err error) {
	rows, err := m.db.Query(ctx, `SELECT b.id, b.account_id, a.email, b.created_at, b.sealed FROM notify_browsers b JOIN accounts a ON a.id = b.account_id
		WHERE b.channel_id = $1 AND b.workspace_id = $2 ORDER BY b.id`, c.ID, c.ws)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	var boxes [][]byte
	for rows.Next() {
		var b Browser
		var at int64
		var sealed []byte
		if err := rows.Scan(&b.ID, &b.AccountID, &b.Owner, &at, &sealed); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
		b.CreatedAt = kernel.FromMicros(at)
		out, boxes = append(out, b), append(boxes, sealed)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	for i := range out {
		if err := m.open(ctx, c.ws, boxes[i], browserAAD(out[i].ID), &out[i].sub); err != nil {
			return nil, err
		}
		out[i].Name = out[i].sub.Browser
	}
	return out, nil
}

func (m *Module) dropBrowser(ctx context.Context, id kernel.ID) {
	ctx = context.WithoutCancel(ctx)
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM notify_browsers WHERE id = $1`, id)
		return err
	})
	if err != nil {
		m.d.Logger.Error("a browser that is gone could not be forgotten", "error", err)
	}
}

const maxBrowsers = 100 // of one channel

// Subscribe adds a browser of a member to a channel of kind webpush; one that is there already gets its new keys.
func (m *Module) Subscribe(ctx context.Context, ws kernel.WorkspaceID, channel kernel.ID, account kernel.AccountID, sub subscription) error {
	c, err := m.Channel(ctx, ws, channel)
	if err != nil {
		return err
	}
	if c.Kind != "webpush" {
		return errNoChannel()
	}
	if err := m.checkSubscription(sub); err != nil {
		return err
	}
	tag, err := m.tag(ctx, ws, "browser", sub.Endpoint)
	if err != nil {
		return err
	}
	sub.Browser = clean(sub.Browser, 80)
	id := kernel.NewID(m.d.Clock())
	sealed, err := m.seal(ctx, ws, sub, browserAAD(id))
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM notify_browsers WHERE channel_id = $1 AND endpoint_tag = $2`, channel, tag); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM notify_browsers WHERE channel_id = $1`, channel).Scan(&n); err != nil {
			return err
		}
		if n >= maxBrowsers {
			return kernel.Errorf(kernel.Conflict, "This channel has %d browsers, which is the most it may have.", n)
		}
		_, err := tx.Exec(ctx, `INSERT INTO notify_browsers (id, workspace_id, channel_id, account_id, endpoint_tag, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			id, ws, channel, account, tag, sealed, kernel.Micros(tx.Now()))
		return err
	})
}

func (m *Module) checkSubscription(sub subscription) error {
	if len(sub.Endpoint) > 2000 || !strings.HasPrefix(sub.Endpoint, "https://") && m.hosts["webpush"] == "" || m.d.Out.Check(sub.Endpoint) != nil {
		return kernel.Errorf(kernel.Invalid, "The browser named a push service that cannot be used.")
	}
	if _, _, err := sub.parts(); err != nil {
		return kernel.Wrap(err, kernel.Invalid, "The browser's keys cannot be used.")
	}
	return nil
}

// Unsubscribe removes a browser by the address of its push service: whoever knows it is that browser.
func (m *Module) Unsubscribe(ctx context.Context, ws kernel.WorkspaceID, channel kernel.ID, endpoint string) error {
	tag, err := m.tag(ctx, ws, "browser", endpoint)
	if err != nil {
		return err
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM notify_browsers WHERE workspace_id = $1 AND channel_id = $2 AND endpoint_tag = $3`, ws, channel, tag)
		return err
	})
}

// RemoveBrowser removes one of a workspace's. Somebody who manages the workspace removes anybody's, others their own.
func (m *Module) RemoveBrowser(ctx context.Context, ws kernel.WorkspaceID, channel, id kernel.ID, account kernel.AccountID, manages bool) error {
	owner := string(account)
	if manages {
		owner = ""
	}
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM notify_browsers WHERE workspace_id = $1 AND channel_id = $2 AND id = $3 AND ($4 = '' OR account_id = $4)`, ws, channel, id, owner)
		if err == nil && n == 0 {
			return kernel.Errorf(kernel.NotFound, "There is no such browser.")
		}
		return err
	})
}
