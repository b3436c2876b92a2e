package audit

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Migrations is the module's schema.
func (m *Module) Migrations() []db.Migration { return Migrations() }

// Migrations is the schema of the log, for tests of modules that write to it.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "events and chains", SQL: `
CREATE TABLE audit_chains (
	chain TEXT_C NOT NULL PRIMARY KEY,
	seq INTEGER NOT NULL,
	hash BYTES NOT NULL,
	base_seq INTEGER NOT NULL,
	base_hash BYTES NOT NULL,
	base_at INTEGER NOT NULL
) END_TABLE;
CREATE TABLE audit_events (
	chain TEXT_C NOT NULL REFERENCES audit_chains (chain) ON DELETE CASCADE,
	seq INTEGER NOT NULL,
	at INTEGER NOT NULL,
	actor_kind TEXT_C NOT NULL,
	actor_id TEXT_C NOT NULL,
	actor_label TEXT NOT NULL,
	action TEXT_C NOT NULL,
	target TEXT_C NOT NULL,
	detail TEXT NOT NULL,
	ip TEXT NOT NULL,
	result TEXT_C NOT NULL,
	salt BYTES,
	personal_hash BYTES NOT NULL,
	prev_hash BYTES NOT NULL,
	hash BYTES NOT NULL,
	PRIMARY KEY (chain, seq)
) END_TABLE;
CREATE INDEX audit_events_at ON audit_events (chain, at);
CREATE INDEX audit_events_action ON audit_events (chain, action, seq);
CREATE INDEX audit_events_actor ON audit_events (actor_id, chain, seq);
`}}
}

// Collections is the module's part of the data map.
func (m *Module) Collections() []privacy.Collection {
	return []privacy.Collection{m.eventsCollection(), m.chainsCollection()}
}

func (m *Module) eventsCollection() privacy.Collection {
	return privacy.Table{DB: m.db, Of: "chain", At: "at"}.Declare(privacy.Collection{
		Name: "audit_events", Module: "audit", Title: "Audit log", Subjects: "account holders",
		Purpose:    "to find out who did what when something went wrong or was misused",
		LegalBasis: "legitimate interest", Retention: "1 year", Where: privacy.ControlDB,
		Promises: []string{"SEC-6", "RET-4", "COL-11"},
		Fields: []privacy.Field{
			{Name: "chain", Category: privacy.Technical, Note: "the workspace, or the instance"},
			{Name: "seq", Category: privacy.Technical, Note: "number within the chain"},
			{Name: "at", Category: privacy.Technical, Note: "when it happened"},
			{Name: "actor_kind", Category: privacy.Technical, Note: "a person, a key or Kept itself"},
			{Name: "actor_id", Category: privacy.Technical, Note: "which account or key"},
			{Name: "actor_label", Category: privacy.Identity, Note: "the address that the account had then"},
			{Name: "action", Category: privacy.Technical, Note: "what was done"},
			{Name: "target", Category: privacy.Technical, Note: "to which thing"},
			{Name: "detail", Category: privacy.Identity, Note: "the same in words; may name a person"},
			{Name: "ip", Category: privacy.Network, Note: "from where"},
			{Name: "result", Category: privacy.Technical, Note: "whether it was allowed and worked"},
			{Name: "salt", Category: privacy.Technical, Note: "random; removed when a person is forgotten"},
			{Name: "personal_hash", Category: privacy.Technical, Note: "salted commitment to address, detail and IP"},
			{Name: "prev_hash", Category: privacy.Technical, Note: "hash of the line before"},
			{Name: "hash", Category: privacy.Technical, Note: "hash of this line"},
		},
		Sweep: m.Sweep, MaxAge: privacy.Fixed(Retention), Export: m.exportItems, Erase: m.erase,
	})
}

func (m *Module) chainsCollection() privacy.Collection {
	return privacy.Table{DB: m.db, Of: "chain"}.Declare(privacy.Collection{
		Name: "audit_chains", Module: "audit", Title: "Heads of the audit log", Subjects: "nobody",
		Purpose:    "to notice when the audit log was tampered with",
		LegalBasis: "legitimate interest", Retention: "as long as the workspace", Where: privacy.ControlDB,
		Promises: []string{"SEC-6"},
		Fields: []privacy.Field{
			{Name: "chain", Category: privacy.Technical, Note: "the workspace, or the instance"},
			{Name: "seq", Category: privacy.Technical, Note: "number of the newest line"},
			{Name: "hash", Category: privacy.Technical, Note: "hash of the newest line"},
			{Name: "base_seq", Category: privacy.Technical, Note: "number of the newest line that was removed because of its age"},
			{Name: "base_hash", Category: privacy.Technical, Note: "hash of that line"},
			{Name: "base_at", Category: privacy.Technical, Note: "when that line was written"},
		},
		NoExport: "it is part of the audit log's export",
		NoErase:  "goes with the audit log",
	})
}

// erase removes a workspace's whole chain. Of the instance's chain nothing is removed before its time.
func (m *Module) erase(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	if ws == "" {
		return 0, nil
	}
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		if n, err = tx.Exec(ctx, `DELETE FROM audit_events WHERE chain = $1`, ws); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM audit_chains WHERE chain = $1`, ws)
		return err
	})
	return n, err
}

// Sweep removes the lines of a chain (empty: of all chains) from before the given time and remembers where the rest
// begins. Only whole beginnings go, so that what stays is a chain: a line that a clock set back dated too early waits
// for those before it.
func (m *Module) Sweep(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (total int64, err error) {
	chains, err := m.chains(ctx, string(ws))
	if err != nil {
		return 0, err
	}
	for _, c := range chains {
		n, err := m.sweepChain(ctx, c.chain, kernel.Micros(before))
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (m *Module) sweepChain(ctx context.Context, chain string, before int64) (n int64, err error) {
	err = m.db.Tx(ctx, func(tx *db.Tx) error {
		moved, err := tx.Exec(ctx, `UPDATE audit_chains SET (base_seq, base_hash, base_at) =
			(SELECT seq, hash, at FROM audit_events WHERE chain = $1 AND seq = `+lastOld+`)
			WHERE chain = $1 AND EXISTS (SELECT 1 FROM audit_events WHERE chain = $1 AND seq = `+lastOld+`)`, chain, before)
		if err != nil || moved == 0 {
			return err
		}
		n, err = tx.Exec(ctx, `DELETE FROM audit_events WHERE chain = $1
			AND seq <= (SELECT base_seq FROM audit_chains WHERE chain = $1)`, chain)
		return err
	})
	return n, err
}

// lastOld is the number of the last line of the old beginning: the one before the first that is young enough.
const lastOld = `coalesce((SELECT min(seq) - 1 FROM audit_events WHERE chain = $1 AND at >= $2),
	(SELECT max(seq) FROM audit_events WHERE chain = $1))`
