package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

const (
	maxChannels = 50 // of a workspace
	maxName     = 60
	maxSetting  = 4 << 10 // bytes
)

// Channel is one way out of a workspace.
type Channel struct {
	ID       kernel.ID
	Name     string // "On-call Slack"; unique in the workspace
	Kind     string // "slack"
	Resolved bool   // also says when it is over

	DisabledAt  time.Time // zero: it is on
	DisabledWhy string    // "failures" or "person"
	CreatedAt   time.Time
	UpdatedAt   time.Time
	DeletedAt   time.Time // zero: it is there

	ws        kernel.WorkspaceID
	failures  int       // for good, one after the other
	notBefore time.Time // the provider asked to be left alone until then
	set       settings
}

// Disabled tells whether the channel is off: it sends nothing but tests.
func (c Channel) Disabled() bool { return !c.DisabledAt.IsZero() }

func (c Channel) target() string { return "channel:" + string(c.ID) }

// settings are a channel's addresses, tokens and choices by field name.
type settings map[string]string

func channelAAD(id kernel.ID) []byte { return []byte("notify/channel/" + id) }

const channelColumns = `id, workspace_id, name, kind, resolved, sealed, failures, disabled_at, disabled_why, not_before, created_at, updated_at, deleted_at`

type scanner interface{ Scan(...any) error }

// scanChannel reads a row and leaves the settings sealed.
func scanChannel(row scanner) (c Channel, sealed []byte, err error) {
	var resolved int
	var disabled, before, created, updated, deleted int64
	err = row.Scan(&c.ID, &c.ws, &c.Name, &c.Kind, &resolved, &sealed, &c.failures, &disabled, &c.DisabledWhy, &before, &created, &updated, &deleted)
	c.Resolved, c.DisabledAt, c.notBefore = resolved != 0, kernel.FromMicros(disabled), kernel.FromMicros(before)
	c.CreatedAt, c.UpdatedAt, c.DeletedAt = kernel.FromMicros(created), kernel.FromMicros(updated), kernel.FromMicros(deleted)
	return c, sealed, err
}

func errNoChannel() error { return kernel.Errorf(kernel.NotFound, "There is no such channel.") }

// Channel finds one of a workspace's, or the one that every workspace has (Owners); another's is NotFound, and so is one that
// was deleted.
func (m *Module) Channel(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) (Channel, error) {
	if id == Owners {
		var err error
		if id, err = m.ownersChannel(ctx, ws); err != nil {
			return Channel{}, err
		}
	}
	c, sealed, err := scanChannel(m.db.QueryRow(ctx, `SELECT `+channelColumns+` FROM notify_channels WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`, ws, id))
	if errors.Is(err, db.ErrNoRows) {
		return Channel{}, errNoChannel()
	}
	if err != nil {
		return Channel{}, fmt.Errorf("notify: %w", err)
	}
	c.set, err = m.openSettings(ctx, c, sealed)
	return c, err
}

func (m *Module) openSettings(ctx context.Context, c Channel, sealed []byte) (set settings, err error) {
	err = m.open(ctx, c.ws, sealed, channelAAD(c.ID), &set)
	return set, err
}

func (m *Module) list(ctx context.Context, ws kernel.WorkspaceID) ([]Channel, error) {
	return m.selectChannels(ctx, ws, `deleted_at = 0 ORDER BY name_key, id`)
}

// all lists a workspace's channels, deleted ones included.
func (m *Module) all(ctx context.Context, ws kernel.WorkspaceID) ([]Channel, error) {
	return m.selectChannels(ctx, ws, `deleted_at >= 0 ORDER BY name_key, id`)
}

// deleted lists what can be brought back, the newest first.
func (m *Module) deleted(ctx context.Context, ws kernel.WorkspaceID) ([]Channel, error) {
	return m.selectChannels(ctx, ws, fmt.Sprintf(`deleted_at > %d ORDER BY deleted_at DESC, id`, kernel.Micros(m.d.Clock().Add(-deletedFor))))
}

func (m *Module) selectChannels(ctx context.Context, ws kernel.WorkspaceID, where string) ([]Channel, error) {
	rows, err := m.db.Query(ctx, `SELECT `+channelColumns+` FROM notify_channels WHERE workspace_id = $1 AND kind <> $2 AND `+where, ws, kindOwners)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	defer rows.Close()
	var out []Channel
	var boxes [][]byte
	for rows.Next() {
		c, sealed, err := scanChannel(rows)
		if err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
		out, boxes = append(out, c), append(boxes, sealed)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	for i := range out {
		if out[i].set, err = m.openSettings(ctx, out[i], boxes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// seal and open keep JSON values with the workspace's key. They must not be called inside of a transaction.
func (m *Module) seal(ctx context.Context, ws kernel.WorkspaceID, v any, aad []byte) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	return box.Seal(plain, aad)
}

func (m *Module) open(ctx context.Context, ws kernel.WorkspaceID, sealed, aad []byte, v any) error {
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	plain, err := box.Open(sealed, aad)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return json.Unmarshal(plain, v)
}

// tag is how a value is known again without being stored in clear.
func (m *Module) tag(ctx context.Context, ws kernel.WorkspaceID, label, value string) ([]byte, error) {
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	t := box.Tag("notify "+label, []byte(value))
	return t[:], nil
}

// Edit is what a person says of a channel.
type Edit struct {
	Name     string
	Resolved bool
	Set      map[string]string // by field; a secret one that is empty stays as it was
}

// clean checks what was typed against the kind's fields. old are the settings until now.
func (m *Module) clean(k kind, in Edit, old settings) (Edit, settings, error) {
	wrong := map[string]string{}
	in.Name = strings.Join(strings.Fields(in.Name), " ")
	if in.Name == "" || utf8.RuneCountInString(in.Name) > maxName || !utf8.ValidString(in.Name) {
		wrong["name"] = "Give the channel a name of up to 60 characters."
	}
	set := settings{}
	for _, f := range k.Fields {
		v := strings.TrimSpace(in.Set[f.Name])
		if v == "" && f.Secret {
			v = old[f.Name]
		}
		if note := m.checkField(f, v); note != "" {
			wrong[f.Name] = note
		}
		if v != "" {
			set[f.Name] = v
		}
	}
	for name, v := range old { // what nobody types: keys that we made
		if _, typed := k.field(name); !typed {
			set[name] = v
		}
	}
	if len(wrong) > 0 {
		return in, nil, &kernel.Error{Code: kernel.Invalid, Safe: "Some fields need another look.", Fields: wrong}
	}
	return in, set, nil
}

func (m *Module) checkField(f field, v string) string {
	switch {
	case v == "" && f.Required:
		return "This is needed."
	case v == "":
		return ""
	case len(v) > maxSetting || !utf8.ValidString(v):
		return "This is too long."
	case f.Kind != "textarea" && strings.ContainsAny(v, "\r\n\x00"):
		return "This must be one line."
	}
	if f.URL {
		if err := m.d.Out.Check(v); err != nil {
			return capital(err.Error()) + "."
		}
	}
	if f.Kind == "select" && !f.offers(v) {
		return "Choose one of the list."
	}
	if f.Check != nil {
		return f.Check(v)
	}
	return ""
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Create makes a channel. What has to be made for it (keys, secrets) is in the settings afterwards.
func (m *Module) Create(ctx context.Context, ws kernel.WorkspaceID, kindKey string, in Edit) (Channel, error) {
	k, ok := kindNamed(kindKey)
	if !ok {
		return Channel{}, kernel.Errorf(kernel.NotFound, "There is no such kind of channel.")
	}
	in, set, err := m.clean(k, in, nil)
	if err != nil {
		return Channel{}, err
	}
	if k.prepare != nil {
		if err := k.prepare(set); err != nil {
			return Channel{}, err
		}
	}
	now := m.d.Clock()
	c := Channel{ID: kernel.NewID(now), ws: ws, Name: in.Name, Kind: k.Key, Resolved: in.Resolved, CreatedAt: now, UpdatedAt: now, set: set}
	sealed, err := m.seal(ctx, ws, set, channelAAD(c.ID))
	if err != nil {
		return Channel{}, err
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM notify_channels WHERE workspace_id = $1 AND deleted_at = 0`, ws).Scan(&n); err != nil {
			return err
		}
		if n >= maxChannels {
			return kernel.Errorf(kernel.Conflict, "This workspace has %d channels, which is the most it may have. Delete one first.", n)
		}
		_, err := tx.Exec(ctx, `INSERT INTO notify_channels (id, workspace_id, name, name_key, kind, resolved, sealed, failures, disabled_at, disabled_why, not_before, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, '', 0, $8, $8)`,
			c.ID, ws, c.Name, strings.ToLower(c.Name), c.Kind, db.Flag(c.Resolved), sealed, kernel.Micros(now))
		return err
	})
	return c, named(err)
}

// nameKey is how a name is compared.
func nameKey(c Channel) string {
	if c.Kind == kindOwners {
		return " owners" // nobody can type a leading space
	}
	return strings.ToLower(c.Name)
}

// named turns the violation of a name's uniqueness into a note at the field.
func named(err error) error {
	if err != nil && db.IsUniqueViolation(err) {
		return kernel.InvalidField("name", "Another channel has this name.")
	}
	return err
}

// Update changes a channel. New addresses deserve a fresh start: a count of failures is forgotten.
func (m *Module) Update(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, in Edit) (Channel, error) {
	c, err := m.Channel(ctx, ws, id)
	if err != nil {
		return c, err
	}
	k, _ := kindNamed(c.Kind)
	in, set, err := m.clean(k, in, c.set)
	if err != nil {
		return c, err
	}
	c.Name, c.Resolved, c.set = in.Name, in.Resolved, set
	return c, m.save(ctx, c)
}

// save writes a channel's name and settings.
func (m *Module) save(ctx context.Context, c Channel) error {
	sealed, err := m.seal(ctx, c.ws, c.set, channelAAD(c.ID))
	if err != nil {
		return err
	}
	return named(m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE notify_channels SET name = $3, name_key = $4, resolved = $5, sealed = $6, failures = 0, not_before = 0, updated_at = $7
			WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`, c.ws, c.ID, c.Name, nameKey(c), db.Flag(c.Resolved), sealed, kernel.Micros(tx.Now()))
		if err == nil && n == 0 {
			return errNoChannel()
		}
		return err
	}))
}

// Turn turns a channel off or on again.
func (m *Module) Turn(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID, on bool) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		at, why := kernel.Micros(tx.Now()), "person"
		if on {
			at, why = 0, ""
		}
		n, err := tx.Exec(ctx, `UPDATE notify_channels SET disabled_at = $3, disabled_why = $4, failures = 0, not_before = 0 WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0`, ws, id, at, why)
		if err == nil && n == 0 {
			return errNoChannel()
		}
		return err
	})
}

// deletedFor is how long a deleted channel can be brought back.
const deletedFor = 30 * 24 * time.Hour

// Delete takes a channel away: nothing is sent over it any more, and its name is free. For a while it can be brought back,
// with all that is kept about it; then the sweep removes it.
func (m *Module) Delete(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	return m.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE notify_channels SET deleted_at = $3, name_key = ' deleted ' || id WHERE workspace_id = $1 AND id = $2 AND deleted_at = 0 AND kind <> $4`,
			ws, id, kernel.Micros(tx.Now()), kindOwners)
		if err == nil && n == 0 {
			return errNoChannel()
		}
		return err
	})
}

// Restore brings a deleted channel back as it was. When another has its name by now, that is a Conflict.
func (m *Module) Restore(ctx context.Context, ws kernel.WorkspaceID, id kernel.ID) error {
	list, err := m.deleted(ctx, ws)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(c Channel) bool { return c.ID == id })
	if i < 0 {
		return errNoChannel()
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE notify_channels SET deleted_at = 0, name_key = $3, failures = 0, not_before = 0 WHERE workspace_id = $1 AND id = $2`, ws, id, nameKey(list[i]))
		return err
	})
	if err != nil && db.IsUniqueViolation(err) {
		return kernel.Errorf(kernel.Conflict, "Another channel is called %s now. Give that one another name first.", list[i].Name)
	}
	return err
}
