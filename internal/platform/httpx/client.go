package httpx

import (
	"net/http"
	"net/netip"
	"strings"
)

// peerAddr is the address of the other end of the connection.
func peerAddr(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func (m *Mux) trusted(a netip.Addr) bool {
	for _, p := range m.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// believeProxy reads what a trusted proxy says about its client. X-Forwarded-For is read from the right: the first
// address that is not one of our proxies is the client, and anything left of it is the client's own invention.
func (m *Mux) believeProxy(x *exchange, r *http.Request) {
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		x.client = a.Unmap().WithZone("")
		if !m.trusted(x.client) {
			break
		}
	}
	if r.Header.Get("X-Forwarded-Proto") == "https" {
		x.secure = true
	}
	if id := r.Header.Get("X-Request-Id"); validRequestID(id) {
		x.id = id
	}
}

func validRequestID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
