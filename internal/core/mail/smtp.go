package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// The ways to protect the connection to the mail server.
const (
	TLSStart = "starttls" // plain at first, then TLS; refused when the server cannot (port 587)
	TLSWrap  = "tls"      // TLS from the first byte (port 465)
	TLSNone  = "none"     // plain text (port 25); with a password only to this machine
)

// SMTPConfig says which server takes our mail.
type SMTPConfig struct {
	Host     string
	Port     int // 0: the usual one for TLS
	Username string
	Password string
	TLS      string        // TLSStart when empty
	Timeout  time.Duration // of one attempt; 0 is 30 s
	HELO     string        // how we introduce ourselves; empty: this machine's name
	options  []gomail.Option
}

// SMTP sends through a mail server.
type SMTP struct{ client *gomail.Client }

// NewSMTP checks the configuration; it does not connect.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	opts := []gomail.Option{gomail.WithTimeout(cfg.Timeout), gomail.WithoutNoop()}
	switch cfg.TLS {
	case "", TLSStart:
		opts = append(opts, gomail.WithTLSPortPolicy(gomail.TLSMandatory))
	case TLSWrap:
		opts = append(opts, gomail.WithSSLPort(false))
	case TLSNone:
		opts = append(opts, gomail.WithTLSPortPolicy(gomail.NoTLS))
	default:
		return nil, fmt.Errorf("mail: TLS is %q, but must be starttls, tls or none", cfg.TLS)
	}
	if cfg.Port != 0 {
		opts = append(opts, gomail.WithPort(cfg.Port))
	}
	if cfg.HELO != "" {
		opts = append(opts, gomail.WithHELO(cfg.HELO))
	}
	if cfg.Username != "" {
		auth := gomail.SMTPAuthAutoDiscover
		if cfg.TLS == TLSNone {
			if !isLoopback(cfg.Host) {
				return nil, errors.New("mail: a password is not sent to another machine without TLS: use starttls or tls")
			}
			auth = gomail.SMTPAuthPlainNoEnc
		}
		opts = append(opts, gomail.WithSMTPAuth(auth), gomail.WithUsername(cfg.Username), gomail.WithPassword(cfg.Password))
	}
	client, err := gomail.NewClient(cfg.Host, append(opts, cfg.options...)...)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return &SMTP{client: client}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send makes one connection and hands the message over. Reports about it come to the sender's mailbox, not to us.
func (s *SMTP) Send(ctx context.Context, msg Message) (string, error) {
	out, err := compose(msg)
	if err != nil {
		return "", &Fault{Class: "address is not valid", Permanent: true, Cause: err}
	}
	conn, err := s.client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", smtpFault(err)
	}
	// The server has the message when it said so after the data. How the goodbye goes changes nothing: to call that an
	// error would send the mail twice.
	defer s.client.CloseWithSMTPClient(conn)
	if err := s.client.SendWithSMTPClient(conn, out); err != nil {
		return "", smtpFault(err)
	}
	return "", nil
}

func compose(msg Message) (*gomail.Msg, error) {
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := out.From(msg.From); err != nil {
		return nil, err
	}
	if err := out.To(msg.To); err != nil {
		return nil, err
	}
	out.Subject(msg.Subject)
	out.SetDate()
	out.SetMessageIDWithValue(msg.ID + "@" + domainOf(msg.From))
	out.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office answers, please (RFC 3834)
	if msg.Unsubscribe != "" {
		out.SetGenHeaderPreformatted("List-Unsubscribe", "<"+msg.Unsubscribe+">") // an address must not be folded
		out.SetGenHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	if msg.Thread != "" { // the first mail of a thread answers one that was never sent, which mail programs do not mind
		root := "<thread." + msg.Thread + "@" + domainOf(msg.From) + ">"
		out.SetGenHeaderPreformatted("In-Reply-To", root)
		out.SetGenHeaderPreformatted("References", root)
	}
	out.SetBodyString(gomail.TypeTextPlain, msg.Text)
	if msg.HTML != "" {
		out.AddAlternativeString(gomail.TypeTextHTML, msg.HTML)
	}
	return out, nil
}

func domainOf(from string) string {
	if a, err := netmail.ParseAddress(from); err == nil {
		from = a.Address
	}
	_, domain, _ := strings.Cut(from, "@")
	return domain
}

// smtpFault tells a refusal for good from a server that is busy or away. Server texts may repeat the address, so only
// the code is kept. A refused login is temporary: the operator will mend it, and the mail should go out then.
func smtpFault(err error) *Fault {
	var send *gomail.SendError
	if errors.As(err, &send) {
		if code := send.ErrorCode(); code != 0 {
			permanent := !send.IsTemp() && code >= 500
			return &Fault{Class: fmt.Sprintf("refused %d", code), Permanent: permanent, Bounce: permanent && badAddress(send), Cause: err}
		}
	}
	var proto *textproto.Error
	if errors.As(err, &proto) {
		return &Fault{Class: fmt.Sprintf("server said %d", proto.Code), Cause: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Fault{Class: "timed out", Cause: err}
	}
	return &Fault{Class: "no connection", Cause: err}
}

// badAddress tells a recipient that does not exist from a server that will not have our mail: the first has an enhanced
// code of class 5.1 (RFC 3463), of which two are about the sender, or for servers without those a plain refusal of the
// recipient. 5.7 is about policy.
func badAddress(err *gomail.SendError) bool {
	if err.Reason != gomail.ErrSMTPRcptTo {
		return false
	}
	switch code := err.EnhancedStatusCode(); {
	case code == "5.1.7", code == "5.1.8":
		return false
	case code != "":
		return strings.HasPrefix(code, "5.1.")
	}
	return err.ErrorCode() == 550 || err.ErrorCode() == 553
}
