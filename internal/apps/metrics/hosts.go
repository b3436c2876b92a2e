package metrics

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/wire/agentapi"
)

// Where a host is known from.
const (
	fromAgent  = "agent"  // kept-agent told
	fromSeries = "series" // somebody sends its node_uname_info
)

// Host is a machine that reports.
type Host struct {
	ID       kernel.ID `json:"id"`
	Instance string    `json:"instance"` // the label "instance" of its series
	Source   string    `json:"source"`
	Machine  string    `json:"-"` // of an agent: what stays the same when it is renamed
	Name     string    `json:"name"`
	OS       string    `json:"os"`
	Platform string    `json:"platform,omitempty"`
	Kernel   string    `json:"kernel,omitempty"`
	Arch     string    `json:"arch,omitempty"`
	Cores    int       `json:"cores,omitempty"`
	Memory   int64     `json:"memory,omitempty"` // bytes
	BootedAt time.Time `json:"booted_at,omitzero"`
	Agent    string    `json:"agent,omitempty"` // its version; empty without one

	Every     time.Duration     `json:"-"` // between samples; 0: not known
	Labels    map[string]string `json:"labels,omitempty"`
	Skew      time.Duration     `json:"-"` // how far its clock was ahead of ours at the last hello
	Buffered  time.Duration     `json:"-"` // what it still has to send
	KeyID     kernel.ID         `json:"-"`
	FirstSeen time.Time         `json:"first_seen_at"`
	LastSeen  time.Time         `json:"last_seen_at"`
}

const hostColumns = `id, instance, source, machine, name, os, platform, kernel, arch, cores, memory, booted_at, agent, every, labels, skew, buffered,
	key_id, first_seen_at, last_seen_at`

func scanHost(row interface{ Scan(...any) error }) (h Host, err error) {
	var labels string
	var booted, every, skew, buffered, first, last int64
	err = row.Scan(&h.ID, &h.Instance, &h.Source, &h.Machine, &h.Name, &h.OS, &h.Platform, &h.Kernel, &h.Arch, &h.Cores, &h.Memory, &booted,
		&h.Agent, &every, &labels, &skew, &buffered, &h.KeyID, &first, &last)
	if err != nil {
		return h, err
	}
	h.BootedAt, h.FirstSeen, h.LastSeen = kernel.FromMicros(booted), kernel.FromMicros(first), kernel.FromMicros(last)
	h.Every, h.Skew, h.Buffered = time.Duration(every)*time.Second, time.Duration(skew)*time.Millisecond, time.Duration(buffered)*time.Second
	return h, json.Unmarshal([]byte(labels), &h.Labels)
}

// maxHosts is how many hosts a list has.
const maxHosts = 2000

// Hosts lists a workspace's hosts by name.
func (m *Module) Hosts(ctx context.Context, ws kernel.WorkspaceID) (out []Host, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT `+hostColumns+` FROM hosts WHERE workspace_id = $1 ORDER BY name, instance LIMIT $2`, ws, maxHosts)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		h, err := scanHost(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// CountHosts counts a workspace's hosts.
func (m *Module) CountHosts(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = m.d.DB.QueryRow(ctx, `SELECT count(*) FROM hosts WHERE workspace_id = $1`, ws).Scan(&n)
	return n, err
}

// FindHost finds a host of a workspace; another workspace's is NotFound.
func (m *Module) FindHost(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Host, error) {
	h, err := scanHost(m.d.DB.QueryRow(ctx, `SELECT `+hostColumns+` FROM hosts WHERE workspace_id = $1 AND id = $2`, ws, id))
	return h, noSuch(err, "host")
}

// hostOf finds a host by its label.
func (m *Module) hostOf(ctx context.Context, ws kernel.WorkspaceID, instance string) (Host, error) {
	h, err := scanHost(m.d.DB.QueryRow(ctx, `SELECT `+hostColumns+` FROM hosts WHERE workspace_id = $1 AND instance = $2`, ws, instance))
	return h, noSuch(err, "host")
}

func noSuch(err error, what string) error {
	if errors.Is(err, db.ErrNoRows) {
		return kernel.Errorf(kernel.NotFound, "There is no such %s.", what)
	}
	return err
}

// saveHost stores what is known of a host now, and notes what changed since. It knows hosts by their label; a host that
// was removed and reports again is a new one.
func saveHost(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, h Host) (Host, error) {
	old, err := scanHost(tx.QueryRow(ctx, `SELECT `+hostColumns+` FROM hosts WHERE workspace_id = $1 AND instance = $2`, ws, h.Instance))
	h.LastSeen = tx.Now()
	switch {
	case errors.Is(err, db.ErrNoRows):
		if err := roomForHost(ctx, tx, ws, h); err != nil {
			return h, err
		}
		h.ID, h.FirstSeen = kernel.NewID(tx.Now()), tx.Now()
	case err != nil:
		return h, err
	default:
		h = h.over(old)
		if err := noteChanges(ctx, tx, ws, old, h); err != nil {
			return h, err
		}
	}
	labels, err := json.Marshal(h.Labels)
	if err != nil {
		return h, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO hosts (workspace_id, `+hostColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
		ON CONFLICT (workspace_id, instance) DO UPDATE SET source = $4, machine = $5, name = $6, os = $7, platform = $8, kernel = $9, arch = $10,
		cores = $11, memory = $12, booted_at = $13, agent = $14, every = $15, labels = $16, skew = $17, buffered = $18, key_id = $19, last_seen_at = $21`,
		ws, h.ID, h.Instance, h.Source, h.Machine, h.Name, h.OS, h.Platform, h.Kernel, h.Arch, h.Cores, h.Memory, kernel.Micros(h.BootedAt),
		h.Agent, int64(h.Every/time.Second), string(labels), h.Skew.Milliseconds(), int64(h.Buffered/time.Second), string(h.KeyID),
		kernel.Micros(h.FirstSeen), kernel.Micros(h.LastSeen))
	return h, err
}

// maxSeenHosts is how many hosts a workspace may have that show themselves in series: a label that is new each time would else
// make a host each time. How many may be enrolled is another matter.
const maxSeenHosts = 10_000

func roomForHost(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, h Host) error {
	if h.Source == fromAgent {
		return nil
	}
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM hosts WHERE workspace_id = $1`, ws).Scan(&n)
	if err == nil && n >= maxSeenHosts {
		return kernel.Errorf(kernel.Conflict, "This workspace has %d hosts, which is the most that are listed.", n)
	}
	return err
}

// over is h with what only old knows. What an agent told is not overwritten by what its series say.
func (h Host) over(old Host) Host {
	h.ID, h.FirstSeen = old.ID, old.FirstSeen
	if rank(h.Source) < rank(old.Source) {
		kernelNow, seen := cmp.Or(h.Kernel, old.Kernel), h.LastSeen
		h = old
		h.Kernel, h.LastSeen = kernelNow, seen
	}
	if h.KeyID == "" {
		h.KeyID = old.KeyID
	}
	return h
}

// rank orders sources by how much they know of a host.
func rank(source string) int { return slices.Index([]string{fromOTLP, fromSeries, fromAgent}, source) }

// The kinds of changes of a host.
const (
	changeReboot = "reboot"
	changeKernel = "kernel"
	changeAgent  = "agent"
)

// bootJitter is how far two reports of the same start may be apart: it is worked out from the clock.
const bootJitter = 2 * time.Minute

// Change is something that happened to a host.
type Change struct {
	Instance string    `json:"instance"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Before   string    `json:"before,omitempty"`
	After    string    `json:"after,omitempty"`
}

func noteChanges(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, old, h Host) error {
	var changes []Change
	if !old.BootedAt.IsZero() && h.BootedAt.Sub(old.BootedAt) > bootJitter {
		changes = append(changes, Change{At: h.BootedAt, Kind: changeReboot})
	}
	if old.Kernel != "" && h.Kernel != "" && h.Kernel != old.Kernel {
		changes = append(changes, Change{At: tx.Now(), Kind: changeKernel, Before: old.Kernel, After: h.Kernel})
	}
	if old.Agent != "" && h.Agent != old.Agent {
		changes = append(changes, Change{At: tx.Now(), Kind: changeAgent, Before: old.Agent, After: h.Agent})
	}
	for _, c := range changes {
		if _, err := tx.Exec(ctx, `INSERT INTO host_changes (workspace_id, id, instance, at, kind, before, after) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			ws, kernel.NewID(tx.Now()), h.Instance, kernel.Micros(c.At), c.Kind, c.Before, c.After); err != nil {
			return err
		}
	}
	return nil
}

// maxShown is how many changes or releases one page marks.
const maxShown = 200

// changes lists what happened to hosts in a span, the newest first.
func (m *Module) changes(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time, limit int) (out []Change, err error) {
	rows, err := m.d.DB.Query(ctx, `SELECT instance, at, kind, before, after FROM host_changes
		WHERE workspace_id = $1 AND at >= $2 AND at <= $3 ORDER BY at DESC, id DESC LIMIT $4`, ws, kernel.Micros(from), kernel.Micros(to), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Change
		var at int64
		if err := rows.Scan(&c.Instance, &at, &c.Kind, &c.Before, &c.After); err != nil {
			return nil, err
		}
		c.At = kernel.FromMicros(at)
		out = append(out, c)
	}
	return out, rows.Err()
}

// text says what a change is.
func (c Change) text() string {
	switch c.Kind {
	case changeReboot:
		return "Restarted"
	case changeKernel:
		return "Kernel " + c.Before + " → " + c.After
	case changeAgent:
		return "Agent " + c.Before + " → " + c.After
	}
	return c.Kind
}

// hostFromAgent is what an agent told, as it is stored.
func hostFromAgent(a agentapi.Host, key kernel.ID) Host {
	h := Host{Instance: a.Instance, Source: fromAgent, Machine: a.ID, Name: a.Name, OS: a.OS, Platform: a.Platform, Kernel: a.Kernel, Arch: a.Arch,
		Cores: a.Cores, Memory: a.Memory, Agent: a.Agent, Every: time.Duration(a.Interval) * time.Second, Labels: a.Labels, KeyID: key}
	if a.BootTime > 0 {
		h.BootedAt = time.Unix(a.BootTime, 0).UTC()
	}
	return h
}

// hardware says what a host is made of: "4 cores, 15.6 GiB".
func (h Host) hardware() string {
	out := ""
	if h.Cores > 0 {
		out = strconv.Itoa(h.Cores) + " cores"
		if h.Cores == 1 {
			out = "1 core"
		}
	}
	return out
}
