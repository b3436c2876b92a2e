package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/kernel"
)

// Report is what Verify found.
type Report struct {
	Chains int
	Events int64
	Broken []Break           // the first broken place of each chain that has one
	Heads  map[string]string // chain to the hash of its newest line, in hex
}

// Break is where a chain does not hold.
type Break struct {
	Chain  string
	Seq    int64 // of the first line that is wrong or missing
	Reason string
}

func (b Break) String() string { return fmt.Sprintf("chain %s, line %d: %s", b.Chain, b.Seq, b.Reason) }

// Verify recomputes every chain. A broken one is in the report, not an error.
func (m *Module) Verify(ctx context.Context) (Report, error) { return m.verify(ctx, "") }

// VerifyWorkspace recomputes the chain of one workspace.
func (m *Module) VerifyWorkspace(ctx context.Context, ws kernel.WorkspaceID) (Report, error) {
	return m.verify(ctx, string(ws))
}

func (m *Module) verify(ctx context.Context, only string) (Report, error) {
	r := Report{Heads: map[string]string{}}
	chains, err := m.chains(ctx, only)
	if err != nil {
		return r, err
	}
	for _, c := range chains {
		n, broken, err := m.verifyChain(ctx, c)
		if err != nil {
			return r, err
		}
		r.Chains++
		r.Events += n
		r.Heads[c.chain] = hex.EncodeToString(c.hash)
		if broken != nil {
			r.Broken = append(r.Broken, *broken)
		}
	}
	return r, m.orphans(ctx, only, &r)
}

// orphans finds lines whose chain has no head: somebody removed it.
func (m *Module) orphans(ctx context.Context, only string, r *Report) error {
	rows, err := m.db.Query(ctx, `SELECT chain, min(seq) FROM audit_events WHERE ($1 = '' OR chain = $1)
		AND chain NOT IN (SELECT chain FROM audit_chains) GROUP BY chain`, only)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		b := Break{Reason: "the chain's head is missing"}
		if err := rows.Scan(&b.Chain, &b.Seq); err != nil {
			return err
		}
		r.Broken = append(r.Broken, b)
	}
	return rows.Err()
}

type chainRow struct {
	chain    string
	seq      int64
	hash     []byte
	baseSeq  int64
	baseHash []byte
}

func (m *Module) chains(ctx context.Context, only string) ([]chainRow, error) {
	rows, err := m.db.Query(ctx, `SELECT chain, seq, hash, base_seq, base_hash FROM audit_chains
		WHERE $1 = '' OR chain = $1 ORDER BY chain`, only)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []chainRow
	for rows.Next() {
		var c chainRow
		if err := rows.Scan(&c.chain, &c.seq, &c.hash, &c.baseSeq, &c.baseHash); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// verifyChain checks one chain up to the head that c names. When a sweep moved the beginning meanwhile, it starts again
// from there.
func (m *Module) verifyChain(ctx context.Context, c chainRow) (int64, *Break, error) {
	for {
		n, broken, err := m.walk(ctx, c)
		if err != nil || broken == nil {
			return n, broken, err
		}
		now, err := m.chains(ctx, c.chain)
		if err != nil {
			return n, nil, err
		}
		if len(now) == 0 { // the workspace was erased while we read
			return 0, nil, nil
		}
		if now[0].baseSeq == c.baseSeq {
			return n, broken, nil
		}
		c = now[0]
	}
}

const verifyPage = 1000

func (m *Module) walk(ctx context.Context, c chainRow) (n int64, broken *Break, err error) {
	if c.baseSeq == 0 && !bytes.Equal(c.baseHash, genesis(c.chain)) {
		return 0, &Break{c.chain, 0, "the beginning was changed"}, nil
	}
	seq, prev := c.baseSeq, c.baseHash
	for seq < c.seq {
		lines, err := m.lines(ctx, c.chain, seq, c.seq)
		if err != nil {
			return n, nil, err
		}
		if len(lines) == 0 {
			return n, &Break{c.chain, seq + 1, "the line is missing"}, nil
		}
		for _, l := range lines {
			if reason := l.check(seq+1, prev); reason != "" {
				return n, &Break{c.chain, seq + 1, reason}, nil
			}
			seq, prev = l.seq, l.hash
			n++
		}
	}
	if !bytes.Equal(prev, c.hash) {
		return n, &Break{c.chain, seq, "the head does not match the newest line"}, nil
	}
	return n, nil, nil
}

// check says what is wrong with a line that should have this number and predecessor; empty is nothing.
func (l *line) check(seq int64, prev []byte) string {
	switch {
	case l.seq != seq:
		return "the line is missing"
	case !bytes.Equal(l.prev, prev):
		return "it does not follow the line before"
	case l.forgotten() && l.actorLabel+l.detail+l.ip != "":
		return "who, detail or IP was put in later"
	case !l.forgotten() && !bytes.Equal(l.personal, l.personalHash()):
		return "who, detail or IP was changed"
	case !bytes.Equal(l.hash, l.lineHash()):
		return "it was changed"
	}
	return ""
}

func (m *Module) lines(ctx context.Context, chain string, after, upTo int64) ([]*line, error) {
	return m.queryLines(ctx, `SELECT `+lineColumns+` FROM audit_events
		WHERE chain = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`, chain, after, upTo, verifyPage)
}

const lineColumns = `chain, seq, at, actor_kind, actor_id, actor_label, action, target, detail, ip, result, salt, personal_hash, prev_hash, hash`

func (m *Module) queryLines(ctx context.Context, text string, args ...any) ([]*line, error) {
	rows, err := m.db.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*line
	for rows.Next() {
		l := new(line)
		if err := rows.Scan(&l.chain, &l.seq, &l.at, &l.actorKind, &l.actorID, &l.actorLabel, &l.action, &l.target,
			&l.detail, &l.ip, &l.result, &l.salt, &l.personal, &l.prev, &l.hash); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// WriteText writes what was found, and the heads: keep them elsewhere, and nobody can rewrite the end of a chain unseen.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, chain := range slices.Sorted(maps.Keys(r.Heads)) {
		fmt.Fprintf(&b, "%-26s  %s\n", chain, r.Heads[chain])
	}
	for _, broken := range r.Broken {
		fmt.Fprintf(&b, "BROKEN: %s\n", broken)
	}
	fmt.Fprintf(&b, "%d chains, %d lines, %d broken\n", r.Chains, r.Events, len(r.Broken))
	_, err := io.WriteString(w, b.String())
	return err
}

// VerifyAudit is Verify in the form that the promise registry asks for: lines read, and places where a chain breaks.
func (m *Module) VerifyAudit(ctx context.Context) (events, bad int64, err error) {
	r, err := m.Verify(ctx)
	return r.Events, int64(len(r.Broken)), err
}
