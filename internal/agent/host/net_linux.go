package host

import (
	"os"
	"strings"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// netStats are the columns of /proc/net/dev after the name of the device.
var netStats = [...]*metric.Desc{
	counter("node_network_receive_bytes_total", "Network device statistic receive_bytes."),
	counter("node_network_receive_packets_total", "Network device statistic receive_packets."),
	counter("node_network_receive_errs_total", "Network device statistic receive_errs."),
	counter("node_network_receive_drop_total", "Network device statistic receive_drop."),
	counter("node_network_receive_fifo_total", "Network device statistic receive_fifo."),
	counter("node_network_receive_frame_total", "Network device statistic receive_frame."),
	counter("node_network_receive_compressed_total", "Network device statistic receive_compressed."),
	counter("node_network_receive_multicast_total", "Network device statistic receive_multicast."),
	counter("node_network_transmit_bytes_total", "Network device statistic transmit_bytes."),
	counter("node_network_transmit_packets_total", "Network device statistic transmit_packets."),
	counter("node_network_transmit_errs_total", "Network device statistic transmit_errs."),
	counter("node_network_transmit_drop_total", "Network device statistic transmit_drop."),
	counter("node_network_transmit_fifo_total", "Network device statistic transmit_fifo."),
	counter("node_network_transmit_colls_total", "Network device statistic transmit_colls."),
	counter("node_network_transmit_carrier_total", "Network device statistic transmit_carrier."),
	counter("node_network_transmit_compressed_total", "Network device statistic transmit_compressed."),
}

var descNoHandler = counter("node_network_receive_nohandler_total", "Network device statistic receive_nohandler.")

func (h *Host) netdev(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/net/dev")
	if err != nil {
		return err
	}
	var fields [16]string
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !ok || h.ignoredDevice(name) {
			continue
		}
		for i, v := range columns(rest, fields[:0]) {
			s.Add(netStats[i], float(v), "device", name)
		}
	}
	for _, name := range entries(h.opts.Sys + "/class/net") {
		if v, err := h.read.number(h.opts.Sys + "/class/net/" + name + "/statistics/rx_nohandler"); err == nil && !h.ignoredDevice(name) {
			s.Add(descNoHandler, v, "device", name)
		}
	}
	return nil
}

func (h *Host) ignoredDevice(name string) bool {
	return h.ignoredNet != nil && h.ignoredNet.MatchString(name)
}

// netProperties are files of /sys/class/net/<device>.
var netProperties = []struct {
	file string
	desc *metric.Desc
}{
	{"addr_assign_type", gauge("node_network_address_assign_type", "Network device property: address_assign_type")},
	{"carrier", gauge("node_network_carrier", "Network device property: carrier")},
	{"carrier_changes", counter("node_network_carrier_changes_total", "Network device property: carrier_changes_total")},
	{"carrier_up_count", counter("node_network_carrier_up_changes_total", "Network device property: carrier_up_changes_total")},
	{"carrier_down_count", counter("node_network_carrier_down_changes_total", "Network device property: carrier_down_changes_total")},
	{"dev_id", gauge("node_network_device_id", "Network device property: device_id")},
	{"dormant", gauge("node_network_dormant", "Network device property: dormant")},
	{"flags", gauge("node_network_flags", "Network device property: flags")},
	{"ifindex", gauge("node_network_iface_id", "Network device property: iface_id")},
	{"iflink", gauge("node_network_iface_link", "Network device property: iface_link")},
	{"link_mode", gauge("node_network_iface_link_mode", "Network device property: iface_link_mode")},
	{"mtu", gauge("node_network_mtu_bytes", "Network device property: mtu_bytes")},
	{"name_assign_type", gauge("node_network_name_assign_type", "Network device property: name_assign_type")},
	{"netdev_group", gauge("node_network_net_dev_group", "Network device property: net_dev_group")},
	{"tx_queue_len", gauge("node_network_transmit_queue_length", "Network device property: transmit_queue_length")},
	{"type", gauge("node_network_protocol_type", "Network device property: protocol_type")},
}

var (
	descNetSpeed = gauge("node_network_speed_bytes", "Network device property: speed_bytes")
	descNetUp    = gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.")
	descNetInfo  = gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.")
)

func (h *Host) netclass(s *metric.Set) error {
	names := entries(h.opts.Sys + "/class/net")
	if names == nil {
		return errNoData
	}
	for _, name := range names {
		dir := h.opts.Sys + "/class/net/" + name + "/"
		if _, err := h.read.file(dir + "ifindex"); err != nil || h.ignoredDevice(name) {
			continue // a file such as bonding_masters
		}
		for _, p := range netProperties {
			if v, err := h.read.number(dir + p.file); err == nil {
				s.Add(p.desc, v, "device", name)
			}
		}
		if megabits, err := h.read.number(dir + "speed"); err == nil {
			s.Add(descNetSpeed, megabits*1000*1000/8, "device", name)
		}
		get := func(file string) string {
			text, _ := h.read.line(dir + file)
			return strings.Clone(text)
		}
		state := get("operstate")
		s.Add(descNetUp, truth(state == "up"), "device", name)
		s.Add(descNetInfo, 1, "device", name, "address", get("address"), "broadcast", get("broadcast"), "duplex", get("duplex"),
			"operstate", state, "ifalias", get("ifalias"))
	}
	return nil
}

func (h *Host) netstat(s *metric.Set) error {
	for _, file := range []string{"/net/netstat", "/net/snmp"} {
		text, err := h.read.file(h.opts.Proc + file)
		if err != nil {
			return err
		}
		h.netstatPairs(s, text)
	}
	text, err := h.read.file(h.opts.Proc + "/net/snmp6")
	if err != nil {
		return nil // without IPv6
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, " ")
		if i := strings.IndexByte(name, '6'); i > 0 {
			h.netstatOne(s, name[:i+1], name[i+1:], strings.TrimSpace(value))
		}
	}
	return nil
}

// netstatPairs reads pairs of lines: names, then values, both after the name of the protocol.
func (h *Host) netstatPairs(s *metric.Set, text string) {
	for text != "" {
		names, rest, _ := strings.Cut(text, "\n")
		values, rest, _ := strings.Cut(rest, "\n")
		text = rest
		protocol, names, _ := strings.Cut(names, ":")
		_, values, _ = strings.Cut(values, ":")
		for name := range strings.FieldsSeq(names) {
			var value string
			value, values, _ = strings.Cut(strings.TrimLeft(values, " "), " ")
			h.netstatOne(s, protocol, name, value)
		}
	}
}

func (h *Host) netstatOne(s *metric.Set, protocol, field, value string) {
	if !isNetstat(protocol, field) {
		return
	}
	v, err := parse(value)
	if err != nil {
		return
	}
	var buf [80]byte
	name := append(buf[:0], "node_netstat_"...)
	name = append(append(append(name, protocol...), '_'), field...)
	s.Add(h.dynamic(remotewrite.Unknown, string(name), netstatHelp), v)
}

func netstatHelp(name string) string {
	return "Statistic " + strings.ReplaceAll(strings.TrimPrefix(name, "node_netstat_"), "_", "") + "."
}

// isNetstat is node_exporter's choice.
func isNetstat(protocol, field string) bool {
	switch field {
	case "InErrors", "InErrs":
		return true
	}
	switch protocol {
	case "Ip":
		return field == "Forwarding"
	case "Ip6", "IpExt":
		return field == "InOctets" || field == "OutOctets"
	case "Icmp", "Icmp6":
		return field == "InMsgs" || field == "OutMsgs"
	case "TcpExt":
		return strings.HasPrefix(field, "Listen") || strings.HasPrefix(field, "Syncookies") ||
			field == "TCPSynRetrans" || field == "TCPTimeouts" || field == "TCPOFOQueue" || field == "TCPRcvQDrop"
	case "Tcp":
		switch field {
		case "ActiveOpens", "InSegs", "OutSegs", "OutRsts", "PassiveOpens", "RetransSegs", "CurrEstab":
			return true
		}
	case "Udp", "Udp6":
		switch field {
		case "InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors":
			return true
		}
	}
	return false
}

func (h *Host) sockstat(s *metric.Set) error {
	page := float64(os.Getpagesize())
	for _, file := range []string{"/net/sockstat", "/net/sockstat6"} {
		text, err := h.read.file(h.opts.Proc + file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			protocol, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
			for rest = strings.TrimSpace(rest); rest != ""; {
				var name, value string
				name, rest, _ = strings.Cut(rest, " ")
				value, rest, _ = strings.Cut(rest, " ")
				h.sockstatOne(s, protocol+"_"+name, float(value), page)
			}
		}
	}
	return nil
}

func (h *Host) sockstatOne(s *metric.Set, name string, v, page float64) {
	s.Add(h.dynamic(remotewrite.Gauge, "node_sockstat_"+name, sockstatHelp), v)
	if name == "TCP_mem" || name == "UDP_mem" {
		s.Add(h.dynamic(remotewrite.Gauge, "node_sockstat_"+name+"_bytes", sockstatHelp), v*page)
	}
}

func sockstatHelp(name string) string {
	protocol, state, _ := strings.Cut(strings.TrimPrefix(name, "node_sockstat_"), "_")
	if protocol == "sockets" {
		return "Number of IPv4 sockets in use."
	}
	return "Number of " + protocol + " sockets in state " + state + "."
}

var (
	descSoftnetProcessed = counter("node_softnet_processed_total", "Number of processed packets")
	descSoftnetDropped   = counter("node_softnet_dropped_total", "Number of dropped packets")
	descSoftnetSqueezed  = counter("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota")
)

func (h *Host) softnet(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/net/softnet_stat")
	if err != nil {
		return err
	}
	var fields [13]string
	row := 0
	for line := range strings.Lines(text) {
		f := columns(line, fields[:0])
		if len(f) < 9 {
			continue
		}
		cpu := row
		row++
		if len(f) > 12 { // the kernel says which processor since 5.12, for some may be off
			cpu = int(hexNumber(f[12]))
		}
		name := decimal(cpu)
		s.Add(descSoftnetProcessed, hexNumber(f[0]), "cpu", name)
		s.Add(descSoftnetDropped, hexNumber(f[1]), "cpu", name)
		s.Add(descSoftnetSqueezed, hexNumber(f[2]), "cpu", name)
	}
	return nil
}

var (
	descTracked    = gauge("node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.")
	descTrackedMax = gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.")
)

// conntrackStats are columns of /proc/net/stat/nf_conntrack, summed over processors.
var conntrackStats = map[string]*metric.Desc{
	"found":          gauge("node_nf_conntrack_stat_found", "Number of searched entries which were successful."),
	"invalid":        gauge("node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked."),
	"ignore":         gauge("node_nf_conntrack_stat_ignore", "Number of packets seen which are already connected to a conntrack entry."),
	"insert":         gauge("node_nf_conntrack_stat_insert", "Number of entries inserted into the list."),
	"insert_failed":  gauge("node_nf_conntrack_stat_insert_failed", "Number of entries for which list insertion was attempted but failed."),
	"drop":           gauge("node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure."),
	"early_drop":     gauge("node_nf_conntrack_stat_early_drop", "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached."),
	"search_restart": gauge("node_nf_conntrack_stat_search_restart", "Number of conntrack table lookups which had to be restarted due to hashtable resizes."),
}

func (h *Host) conntrack(s *metric.Set) error {
	count, err := h.read.number(h.opts.Proc + "/sys/net/netfilter/nf_conntrack_count")
	if err != nil {
		return err
	}
	s.Add(descTracked, count)
	if limit, err := h.read.number(h.opts.Proc + "/sys/net/netfilter/nf_conntrack_max"); err == nil {
		s.Add(descTrackedMax, limit)
	}
	text, err := h.read.file(h.opts.Proc + "/net/stat/nf_conntrack")
	if err != nil {
		return nil
	}
	head, rest, _ := strings.Cut(text, "\n")
	var names, fields [24]string
	var sums [24]float64
	titles := columns(head, names[:0])
	for line := range strings.Lines(rest) {
		for i, v := range columns(line, fields[:0]) {
			sums[i] += hexNumber(v)
		}
	}
	for i, title := range titles {
		if d := conntrackStats[title]; d != nil {
			s.Add(d, sums[i])
		}
	}
	return nil
}

var descARP = gauge("node_arp_entries", "ARP entries by device")

func (h *Host) arp(s *metric.Set) error {
	text, err := h.read.file(h.opts.Proc + "/net/arp")
	if err != nil {
		return err
	}
	counts := map[string]float64{}
	var fields [6]string
	_, text, _ = strings.Cut(text, "\n")
	for line := range strings.Lines(text) {
		if f := columns(line, fields[:0]); len(f) == 6 {
			counts[f[5]]++
		}
	}
	for device, n := range counts {
		s.Add(descARP, n, "device", device)
	}
	return nil
}

var descUDPQueues = gauge("node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.")

func (h *Host) udpQueues(s *metric.Set) error {
	for _, v := range [...][2]string{{"/net/udp", "v4"}, {"/net/udp6", "v6"}} {
		text, err := h.read.file(h.opts.Proc + v[0])
		if err != nil {
			continue
		}
		var sent, received float64
		var fields [5]string
		_, text, _ = strings.Cut(text, "\n")
		for line := range strings.Lines(text) {
			if f := columns(line, fields[:0]); len(f) == 5 {
				tx, rx, _ := strings.Cut(f[4], ":")
				sent, received = sent+hexNumber(tx), received+hexNumber(rx)
			}
		}
		s.Add(descUDPQueues, sent, "queue", "tx", "ip", v[1])
		s.Add(descUDPQueues, received, "queue", "rx", "ip", v[1])
	}
	return nil
}
