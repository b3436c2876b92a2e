package egress

import "net/netip"

// Public tells whether an address is one of the public internet. What carries another address inside (mapped, NAT64) is
// judged by that one; tunnels that would be unpacked somewhere behind us are refused whole.
func Public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if a.Is4() {
		return !within(a, notPublic4)
	}
	if nat64.Contains(a) {
		b := a.As16()
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return a.IsValid() && global6.Contains(a) && !within(a, notPublic6)
}

// ours tells whether an address is one of this machine or of a private network, which an operator may allow. Metadata
// services have link-local addresses, or one of the few named below, and are never meant.
func ours(a netip.Addr) bool {
	a = a.Unmap()
	return a.Zone() == "" && within(a, private) && !within(a, metadata)
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

var (
	// From the IANA registry of special-purpose IPv4 addresses, with multicast, what is reserved, and the one metadata
	// address that lies in public space.
	notPublic4 = prefixes(
		"0.0.0.0/8",          // this network
		"10.0.0.0/8",         // private
		"100.64.0.0/10",      // carriers' NAT (RFC 6598); Alibaba's metadata
		"127.0.0.0/8",        // loopback
		"169.254.0.0/16",     // link-local; metadata of most clouds
		"172.16.0.0/12",      // private
		"192.0.0.0/24",       // protocol assignments; Oracle's metadata
		"192.0.2.0/24",       // documentation
		"192.31.196.0/24",    // AS112
		"192.52.193.0/24",    // AMT
		"192.88.99.0/24",     // 6to4 relays
		"192.168.0.0/16",     // private
		"192.175.48.0/24",    // AS112
		"198.18.0.0/15",      // benchmarks
		"198.51.100.0/24",    // documentation
		"203.0.113.0/24",     // documentation
		"168.63.129.16/32",   // Azure's platform services
		"224.0.0.0/4",        // multicast
		"240.0.0.0/4",        // reserved
		"255.255.255.255/32", // broadcast
	)
	global6    = netip.MustParsePrefix("2000::/3") // all that is assigned as global unicast
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	notPublic6 = prefixes(
		"2001::/23",         // protocol assignments: Teredo, ORCHID, benchmarks
		"2001:db8::/32",     // documentation
		"2002::/16",         // 6to4
		"2620:4f:8000::/48", // AS112
		"3fff::/20",         // documentation
	)

	private  = prefixes("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
	metadata = prefixes("100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128", "fd00:42::42/128")
)
