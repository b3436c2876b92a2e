package mail

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// smtpServer is a small mail server on a real socket: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA, RSET, QUIT.
type smtpServer struct {
	t        *testing.T
	addr     *net.TCPAddr
	tls      *tls.Config
	starttls bool
	wrap     bool
	auth     string // the decoded AUTH PLAIN it wants
	rcpt     string // its answer to RCPT; empty is "250 ok"
	hangUp   bool   // close instead of answering QUIT

	mu   sync.Mutex
	got  []string
	tlss []bool
}

func (s *smtpServer) start() *smtpServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().(*net.TCPAddr)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
		}
	})
	s.t.Cleanup(func() { l.Close(); wg.Wait() })
	return s
}

func (s *smtpServer) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	secure := s.wrap
	if s.wrap {
		conn = tls.Server(conn, s.tls)
	}
	in := bufio.NewReader(conn)
	say := func(text string) { io.WriteString(conn, text+"\r\n") }
	say("220 test ESMTP")
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		text = strings.TrimRight(text, "\r\n")
		verb, rest, _ := strings.Cut(text, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-test")
			say("250-ENHANCEDSTATUSCODES")
			if s.starttls && !secure {
				say("250-STARTTLS")
			}
			if s.auth != "" {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			conn = tls.Server(conn, s.tls)
			in, secure = bufio.NewReader(conn), true
		case "AUTH":
			plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if string(plain) != s.auth {
				say("535 no")
				continue
			}
			say("235 welcome")
		case "RCPT":
			if s.rcpt != "" {
				say(s.rcpt)
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go")
			s.keep(readData(in), secure)
			say("250 queued")
		case "QUIT":
			if !s.hangUp {
				say("221 bye")
			}
			return
		default:
			say("250 ok")
		}
	}
}

func readData(in *bufio.Reader) string {
	var b strings.Builder
	for {
		text, err := in.ReadString('\n')
		if err != nil || text == ".\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(text, "."))
	}
}

func (s *smtpServer) keep(mail string, secure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, mail)
	s.tlss = append(s.tlss, secure)
}

func (s *smtpServer) mails() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

func testTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

func (s *smtpServer) client(t *testing.T, cfg SMTPConfig) *SMTP {
	t.Helper()
	cfg.Host, cfg.Port = "127.0.0.1", s.addr.Port
	cfg.Timeout = 10 * time.Second
	client, err := NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func testMessage() Message {
	return Message{ID: "01hzz", From: "Kept <kept@kept.example>", To: "ann@example.org", Subject: "Grüße: reset",
		Text: "Hello\n.\nhttps://kept.example/reset?token=" + strings.Repeat("x", 120) + "\n", HTML: "<p>Hello</p>"}
}

func TestSMTPSendsTextAndHTML(t *testing.T) {
	t.Parallel()
	server, client := testTLS(t)
	for name, tc := range map[string]struct {
		srv *smtpServer
		cfg SMTPConfig
	}{
		"none":     {&smtpServer{}, SMTPConfig{TLS: TLSNone}},
		"starttls": {&smtpServer{starttls: true, auth: "\x00me\x00secret"}, SMTPConfig{TLS: TLSStart, Username: "me", Password: "secret"}},
		"tls":      {&smtpServer{wrap: true, auth: "\x00me\x00secret"}, SMTPConfig{TLS: TLSWrap, Username: "me", Password: "secret"}},
		"default":  {&smtpServer{starttls: true}, SMTPConfig{}},
		"hangs up": {&smtpServer{hangUp: true}, SMTPConfig{TLS: TLSNone}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.srv.t, tc.srv.tls = t, server
			tc.cfg.options = []gomail.Option{gomail.WithTLSConfig(client)}
			srv := tc.srv.start()
			if _, err := srv.client(t, tc.cfg).Send(t.Context(), testMessage()); err != nil {
				t.Fatal(err)
			}
			mails := srv.mails()
			if len(mails) != 1 {
				t.Fatalf("%d mails", len(mails))
			}
			if srv.tlss[0] != (tc.cfg.TLS != TLSNone) {
				t.Errorf("encrypted: %v", srv.tlss[0])
			}
			checkMail(t, mails[0])
		})
	}
}

func checkMail(t *testing.T, raw string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Grüße: reset" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if id := m.Header.Get("Message-ID"); id != "<01hzz@kept.example>" {
		t.Errorf("Message-ID %q", id)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("To") != "<ann@example.org>" {
		t.Errorf("header %v", m.Header)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []string{testMessage().Text, testMessage().HTML} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if got := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("part %q, want %q, %v", got, want, err)
		}
	}
}

func TestSMTPFaults(t *testing.T) {
	t.Parallel()
	server, client := testTLS(t)
	fault := func(t *testing.T, srv *smtpServer, cfg SMTPConfig) *Fault {
		t.Helper()
		srv.t, srv.tls = t, server
		cfg.options = []gomail.Option{gomail.WithTLSConfig(client)}
		s := srv.start()
		_, err := s.client(t, cfg).Send(t.Context(), testMessage())
		var f *Fault
		if !errors.As(err, &f) {
			t.Fatalf("no fault: %v", err)
		}
		if len(s.mails()) != 0 {
			t.Error("the mail went out all the same")
		}
		if strings.Contains(f.Class, "@") {
			t.Errorf("the class names an address: %q", f.Class)
		}
		return f
	}
	t.Run("unknown person", func(t *testing.T) {
		for answer, bounce := range map[string]bool{"550 no such user ann@example.org": true, "550 5.1.1 unknown": true, "550 5.7.1 we do not like you": false,
			"550 5.1.8 your domain is unknown": false, "554 no": false} {
			if f := fault(t, &smtpServer{rcpt: answer}, SMTPConfig{TLS: TLSNone}); !f.Permanent || f.Class != "refused "+answer[:3] || f.Bounce != bounce {
				t.Errorf("%s: %+v", answer, f)
			}
		}
	})
	t.Run("grey-listed", func(t *testing.T) {
		if f := fault(t, &smtpServer{rcpt: "451 later"}, SMTPConfig{TLS: TLSNone}); f.Permanent || f.Class != "refused 451" {
			t.Errorf("%+v", f)
		}
	})
	t.Run("no STARTTLS is no reason to go on in the clear", func(t *testing.T) {
		if f := fault(t, &smtpServer{}, SMTPConfig{TLS: TLSStart}); f.Permanent {
			t.Errorf("%+v", f)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		f := fault(t, &smtpServer{starttls: true, auth: "\x00me\x00secret"}, SMTPConfig{Username: "me", Password: "wrong"})
		if f.Permanent {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a certificate that nobody vouches for", func(t *testing.T) {
		for _, srv := range []*smtpServer{{starttls: true}, {wrap: true}} {
			srv.t, srv.tls = t, server
			s, cfg := srv.start(), SMTPConfig{TLS: TLSStart}
			if srv.wrap {
				cfg.TLS = TLSWrap
			}
			var f *Fault
			if _, err := s.client(t, cfg).Send(t.Context(), testMessage()); !errors.As(err, &f) || f.Permanent || len(s.mails()) != 0 {
				t.Errorf("%+v, %d mails", err, len(s.mails()))
			}
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		smtp, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", Port: port, TLS: TLSNone})
		if err != nil {
			t.Fatal(err)
		}
		var f *Fault
		if _, err := smtp.Send(t.Context(), testMessage()); !errors.As(err, &f) || f.Permanent || f.Class != "no connection" {
			t.Errorf("%v", err)
		}
	})
	t.Run("certificate of somebody else", func(t *testing.T) {
		s := (&smtpServer{t: t, tls: server, wrap: true}).start()
		var f *Fault
		if _, err := s.client(t, SMTPConfig{TLS: TLSWrap}).Send(t.Context(), testMessage()); !errors.As(err, &f) || f.Permanent {
			t.Errorf("%v", err)
		}
	})
	t.Run("bad address", func(t *testing.T) {
		smtp, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", TLS: TLSNone})
		if err != nil {
			t.Fatal(err)
		}
		msg := testMessage()
		msg.To = "not an address"
		var f *Fault
		if _, err := smtp.Send(context.Background(), msg); !errors.As(err, &f) || !f.Permanent {
			t.Errorf("%v", err)
		}
	})
}

func TestSMTPConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]SMTPConfig{
		"unknown TLS":              {Host: "mail.example", TLS: "maybe"},
		"password in the clear":    {Host: "mail.example", TLS: TLSNone, Username: "me", Password: "x"},
		"no host":                  {},
		"port that does not exist": {Host: "mail.example", Port: 70000},
	} {
		if _, err := NewSMTP(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := NewSMTP(SMTPConfig{Host: "localhost", TLS: TLSNone, Username: "me", Password: "x"}); err != nil {
		t.Errorf("a password to this machine: %v", err)
	}
}

// TestOutboxThroughSMTP is the whole way: a row in a transaction, out over a socket.
func TestOutboxThroughSMTP(t *testing.T) {
	each(t, func(t *testing.T, b bundle) {
		srv := (&smtpServer{t: t}).start()
		b.d.Sender = srv.client(t, SMTPConfig{TLS: TLSNone})
		b.send(t, testMail())
		b.drain(t, 1)
		if mails := srv.mails(); len(mails) != 1 || !bytes.Contains([]byte(mails[0]), []byte("Message-ID: <")) {
			t.Errorf("%q", mails)
		}
		threaded := testMail()
		threaded.Thread = "abc123"
		b.send(t, threaded)
		b.send(t, threaded)
		b.drain(t, 2)
		for i, raw := range srv.mails() {
			m, err := netmail.ReadMessage(strings.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if i > 0 {
				want = "<thread.abc123@kept.example>"
			}
			if m.Header.Get("In-Reply-To") != want || m.Header.Get("References") != want || m.Header.Get("Message-ID") == want {
				t.Errorf("mail %d: %v", i, m.Header)
			}
		}
	})
}
