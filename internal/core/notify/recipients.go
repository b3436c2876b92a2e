package notify

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// A channel says beforehand which host it sends to. Whoever looks after the workspace sees these hosts, the operator's check
// of promise USE-3 counts them, and a request to any other is refused.

// address is where requests of a channel begin; empty for mail and browsers.
func (k kind) address(set settings) string {
	if k.base != nil {
		return k.base(set)
	}
	for _, f := range k.Fields {
		if f.URL {
			return set[f.Name]
		}
	}
	return ""
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// declared tells whether a request goes where the channel says that it sends.
func (s *shot) declared(u *url.URL) bool {
	host := hostOf(u.String())
	return host != "" && (host == hostOf(s.k.address(s.c.set)) || host == hostOf(s.m.hosts[s.k.Key]))
}

// sends tells whether channels of a kind make requests to a host of their own; the others mail, or tell browsers.
func (k kind) sends() bool {
	return k.base != nil || slices.ContainsFunc(k.Fields, func(f field) bool { return f.URL })
}

// recipients are the hosts that channels send to, in order. unknown counts those that name none although they send.
func recipients(list []Channel) (hosts []string, unknown int64) {
	seen := map[string]bool{}
	for _, c := range list {
		k, ok := kindNamed(c.Kind)
		if !ok || !k.sends() {
			continue
		}
		if host := hostOf(k.address(c.set)); host != "" {
			seen[host] = true
		} else {
			unknown++
		}
	}
	return slices.Sorted(maps.Keys(seen)), unknown
}

// RecipientState implements privacy.Recipients: it counts the hosts that workspaces have chosen.
func (m *Module) RecipientState(ctx context.Context) (out privacy.RecipientState, err error) {
	rows, err := m.db.Query(ctx, `SELECT DISTINCT workspace_id FROM notify_channels WHERE deleted_at = 0 AND kind <> $1`, kindOwners)
	if err != nil {
		return out, fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	var workspaces []kernel.WorkspaceID
	for rows.Next() {
		var ws kernel.WorkspaceID
		if err := rows.Scan(&ws); err != nil {
			return out, fmt.Errorf("notify: %w", err)
		}
		workspaces = append(workspaces, ws)
	}
	if err := rows.Err(); err != nil {
		return out, fmt.Errorf("notify: %w", err)
	}
	rows.Close()
	for _, ws := range workspaces {
		list, err := m.list(ctx, ws)
		if err != nil {
			return out, err
		}
		hosts, unknown := recipients(list)
		out.Unknown += unknown
		if len(hosts) > 0 {
			out.Workspaces++
			out.Hosts += int64(len(hosts))
		}
	}
	out.Refused = m.refused.Load()
	return out, nil
}

var _ privacy.Recipients = (*Module)(nil)

// at is the base of a provider that is at one place.
func at(address string) func(settings) string { return func(settings) string { return address } }

// byRegion is the base of a provider with a second place in Europe.
func byRegion(us, eu string) func(settings) string {
	return func(set settings) string {
		if set["region"] == "eu" {
			return eu
		}
		return us
	}
}
