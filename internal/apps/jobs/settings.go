package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/wire/redact"
)

// Settings say what of a workspace's job data is kept. They act before anything is stored.
type Settings struct {
	Payloads redact.Policy // full, keys or none
	Keys     []string      // whose values are taken out, besides redact.DefaultKeys
	Emails   bool          // take out e-mail addresses wherever they stand
}

// Limits of the list of keys.
const (
	maxKeys   = 100
	maxKeyLen = 64
)

func settingsMigrations() []db.Migration {
	return []db.Migration{{Name: "settings", SQL: `
CREATE TABLE job_settings (
	workspace_id TEXT_C NOT NULL PRIMARY KEY,
	payloads TEXT NOT NULL,
	redact_keys TEXT NOT NULL,
	redact_emails INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) END_TABLE;
`}}
}

// ReadSettings reads a workspace's settings; without any it is everything but the default keys.
func (m *Module) ReadSettings(ctx context.Context, ws kernel.WorkspaceID) (Settings, error) {
	return readSettings(ctx, m.d.DB, ws)
}

func readSettings(ctx context.Context, d *db.DB, ws kernel.WorkspaceID) (Settings, error) {
	s := Settings{Payloads: redact.Full}
	var keys string
	var emails int
	err := d.QueryRow(ctx, `SELECT payloads, redact_keys, redact_emails FROM job_settings WHERE workspace_id = $1`, ws).Scan(&s.Payloads, &keys, &emails)
	if errors.Is(err, db.ErrNoRows) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Emails = emails == 1
	return s, json.Unmarshal([]byte(keys), &s.Keys)
}

// SaveSettings changes a workspace's settings. They hold for what arrives from now on; what is stored stays.
func (m *Module) SaveSettings(ctx context.Context, ws kernel.WorkspaceID, s Settings) error {
	if s.Payloads != redact.Full && s.Payloads != redact.KeysOnly && s.Payloads != redact.None {
		return kernel.InvalidField("payloads", "Choose what is kept of payloads.")
	}
	var keys []string
	for _, key := range s.Keys {
		if key = strings.TrimSpace(key); key != "" {
			keys = append(keys, key)
		}
		if len(key) > maxKeyLen {
			return kernel.InvalidField("keys", "A key may have 64 characters.")
		}
	}
	if len(keys) > maxKeys {
		return kernel.InvalidField("keys", "There may be 100 keys.")
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	emails := 0
	if s.Emails {
		emails = 1
	}
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO job_settings (workspace_id, payloads, redact_keys, redact_emails, updated_at)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace_id) DO UPDATE SET payloads = $2, redact_keys = $3, redact_emails = $4, updated_at = $5`,
			ws, string(s.Payloads), string(text), emails, kernel.Micros(tx.Now()))
		return err
	})
	if err != nil {
		return err
	}
	m.settings.forget(ws)
	if m.d.Audit != nil {
		return m.d.Audit(ctx, "job_settings.update", "jobs", "payloads: "+string(s.Payloads))
	}
	return nil
}

// settingsCache keeps rules ready for ingest. Another instance's change is noticed within its life.
type settingsCache struct {
	db    *db.DB
	clock kernel.Clock
	rules *kernel.Cache[kernel.WorkspaceID, timedRules]
}

type timedRules struct {
	*redact.Rules
	until time.Time
}

const settingsLife = 5 * time.Second

func newSettingsCache(d *db.DB, clock kernel.Clock) *settingsCache {
	return &settingsCache{db: d, clock: clock, rules: kernel.NewCache[kernel.WorkspaceID, timedRules](1000)}
}

func (c *settingsCache) forget(ws kernel.WorkspaceID) {
	c.rules.DeleteFunc(func(k kernel.WorkspaceID) bool { return k == ws })
}

func (c *settingsCache) get(ctx context.Context, ws kernel.WorkspaceID) (*redact.Rules, error) {
	if r, ok := c.rules.Get(ws); ok && c.clock().Before(r.until) {
		return r.Rules, nil
	}
	s, err := readSettings(ctx, c.db, ws)
	if err != nil {
		return nil, err
	}
	r := redact.New(s.Payloads, s.Keys...)
	r.Emails = s.Emails
	c.rules.Put(ws, timedRules{r, c.clock().Add(settingsLife)}, 1)
	return r, nil
}
