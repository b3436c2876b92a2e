package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestWhichAddressesArePublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "1.1.1.1": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"2606:4700:4700::1111": true, "2a00:1450:4001::8": true, "::ffff:8.8.8.8": true, "64:ff9b::8.8.8.8": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.100.100.200": false, "127.0.0.1": false, "127.255.255.254": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false,
		"192.168.1.1": false, "198.18.0.1": false, "198.51.100.7": false, "203.0.113.9": false, "168.63.129.16": false, "224.0.0.1": false,
		"239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "2606:4700::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::127.0.0.1": false, "64:ff9b::10.1.2.3": false,
		"64:ff9b:1::8.8.8.8": false, "2002:7f00:1::": false, "2002:a00:1::1": false, "2002:808:808::1": false, "2001:0:53aa:64c::1": false,
		"2001:db8::1": false, "3fff::1": false, "5f00::1": false, "fec0::1": false, "100::1": false,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("Public(%s) is %v", text, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestWhatAnOperatorMayAllow(t *testing.T) {
	t.Parallel()
	c := New(Config{AllowPrivate: true})
	for text, want := range map[string]bool{
		"10.0.0.1": true, "127.0.0.1": true, "::1": true, "fd12::1": true, "192.168.0.9": true, "::ffff:10.0.0.1": true, "8.8.8.8": true,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "100.100.100.200": false, "fd00:ec2::254": false, "fe80::1": false, "224.0.0.1": false, "0.0.0.0": false,
	} {
		if got := c.allowed(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// FuzzForms: whatever way an address is written, what is dialled is judged, and nothing inside a private network is taken
// for public.
func FuzzForms(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:7f00:1]", "[64:ff9b::a00:1]", "localhost.", "①②⑦.0.0.1", "[fe80::1%25eth0]", "8.8.8.8"} {
		f.Add(s)
	}
	c := New(Config{})
	f.Fuzz(func(t *testing.T, host string) {
		checked := c.Check("https://" + host + "/x")
		u, err := url.Parse("https://" + host + "/x")
		if err != nil {
			if checked == nil {
				t.Fatal("what cannot be parsed is accepted")
			}
			return
		}
		a, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return
		}
		dial := c.control("tcp6", netip.AddrPortFrom(a, 443).String(), nil)
		if Public(a) != (dial == nil) || checked == nil && dial != nil && u.Fragment == "" {
			t.Fatalf("%s: public %v, dial %v, check %v", a, Public(a), dial, checked)
		}
		std := net.IP(a.Unmap().AsSlice())
		if dial == nil && (std.IsPrivate() || std.IsLoopback() || std.IsLinkLocalUnicast() || std.IsMulticast() || std.IsUnspecified() || !std.IsGlobalUnicast()) {
			t.Fatalf("%s is dialled", a)
		}
	})
}

func TestCheckOfTypedAddresses(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	for text, want := range map[string]bool{
		"https://example.com/hook": true, "http://example.com:8080/": true, "https://8.8.8.8/": true,
		"": false, "example.com": false, "ftp://example.com/": false, "file:///etc/passwd": false, "https:///x": false, "https://localhost/": false,
		"https://LOCALHOST./": false, "https://a.localhost/": false, "http://127.0.0.1/": false, "http://[::1]/": false, "http://169.254.169.254/": false,
		"gopher://example.com": false, "https://example.com/#x": false, "javascript:alert(1)": false, "https://%zz/": false,
	} {
		if err := c.Check(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := New(Config{AllowPrivate: true}).Check("http://localhost:9000/"); err != nil {
		t.Error(err)
	}
}

// names answers DNS questions for A records, each time with the next address.
type names struct {
	*net.Resolver
	asked atomic.Int32
}

func newNames(t *testing.T, answers ...string) *names {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{}
	n.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := n.reply(buf[:size], answers); reply != nil {
				pc.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return n
}

func (n *names) reply(q []byte, answers []string) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	end += 5
	if end > len(q) {
		return nil
	}
	out := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
	if binary.BigEndian.Uint16(q[end-4:]) != 1 { // not an A record: there is none
		return out
	}
	a := netip.MustParseAddr(answers[min(int(n.asked.Add(1))-1, len(answers)-1)]).As4()
	out[7] = 1
	out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // of no time to live
	return append(out, a[:]...)
}

// TestNamesThatTurnInwards: a name that was public when it was looked at and is ours when it is dialled is refused, and so
// is one that is ours from the start.
func TestNamesThatTurnInwards(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inside.Close)
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	n := newNames(t, "93.184.216.34", "127.0.0.1")
	c := New(Config{resolver: n.Resolver})
	addrs, err := n.LookupNetIP(t.Context(), "ip4", "rebind.example.com.") // whoever checks before dialling sees this
	if err != nil || !Public(addrs[0]) {
		t.Fatal(addrs, err)
	}
	_, err = c.HTTP().Get("http://rebind.example.com.:" + port + "/")
	if !errors.Is(err, ErrPrivate) || reached.Load() != 0 {
		t.Fatalf("%v, reached %d times", err, reached.Load())
	}
	if strings.Contains(Reason(err), "127") {
		t.Error(Reason(err))
	}
	open := New(Config{resolver: n.Resolver, AllowPrivate: true})
	res, err := open.HTTP().Get("http://rebind.example.com.:" + port + "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if reached.Load() != 1 {
		t.Error("the operator's permission changes nothing")
	}
}

func TestRefusesThisMachine(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	_, err := New(Config{}).HTTP().Get(s.URL)
	if !errors.Is(err, ErrPrivate) || Reason(err) != "the address is not on the public internet" {
		t.Fatal(err)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, MaxAnswer+1)) })
	mux.HandleFunc("/fits", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, MaxAnswer)) })
	mux.HandleFunc("/head", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*maxHeader)) })
	mux.HandleFunc("/there", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	})
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.UserAgent()) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	defer close(release)
	c := New(Config{AllowPrivate: true}).HTTP()
	read := func(path string) (string, int, error) {
		res, err := c.Get(s.URL + path)
		if err != nil {
			return "", 0, err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), res.StatusCode, err
	}
	if b, _, err := read("/large"); !errors.Is(err, ErrTooLarge) || len(b) != MaxAnswer {
		t.Error("large:", len(b), err)
	}
	if b, _, err := read("/fits"); err != nil || len(b) != MaxAnswer {
		t.Error("fits:", len(b), err)
	}
	if _, _, err := read("/head"); err == nil {
		t.Error("a head of 128 kB is read")
	}
	if _, status, err := read("/there"); err != nil || status != http.StatusFound {
		t.Error("a redirect is followed:", status, err)
	}
	if b, _, _ := read("/who"); b != userAgent {
		t.Error("user agent:", b)
	}
	c = New(Config{AllowPrivate: true, timeout: 100 * time.Millisecond}).HTTP()
	if _, _, err := read("/slow"); err == nil || Reason(err) != "no answer in time" {
		t.Error("slow:", err)
	}
}

// TestOldTLSIsRefused: nothing under 1.2, and no certificate that nobody vouches for.
func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	if _, err := New(Config{AllowPrivate: true, tls: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}}).HTTP().Get(s.URL); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	good := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(good.Close)
	if _, err := New(Config{AllowPrivate: true}).HTTP().Get(good.URL); Reason(err) != "the server's certificate is not valid" {
		t.Error(err)
	}
	roots.AddCert(good.Certificate())
	res, err := New(Config{AllowPrivate: true, tls: &tls.Config{RootCAs: roots}}).HTTP().Get(good.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// TestNoProxyOfTheEnvironment: a proxy would dial for us, where nobody checks the address.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	var through atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { through.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	n := newNames(t, "127.0.0.1")
	if _, err := New(Config{resolver: n.Resolver}).HTTP().Get("http://hook.example.com./"); !errors.Is(err, ErrPrivate) || through.Load() != 0 {
		t.Error(err, through.Load())
	}
}
