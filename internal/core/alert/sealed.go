package alert

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kept-dev/kept/internal/kernel"
)

// What people write to alerts, and what alerts tell of a customer's machines, lies in the tables sealed with the workspace's
// key: the rules' texts as they were filled in, the facts behind an alert, notes, comments, names of maintenance windows,
// the status for other instances. Labels stay readable, as in the store of series: messages are routed and searched by them.

// What sealed bytes are, and where they belong.
func detailAAD(id kernel.ID) string          { return "alert/detail/" + string(id) }
func noteAAD(id kernel.ID) string            { return "alert/note/" + string(id) }
func commentAAD(id kernel.ID) string         { return "alert/comment/" + string(id) }
func windowAAD(id kernel.ID) string          { return "alert/window/" + string(id) }
func statusAAD(ws kernel.WorkspaceID) string { return "alert/status/" + string(ws) }

// detail is what an alert tells, as it is sealed.
type detail struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	Facts       []Fact            `json:"facts,omitempty"`
}

// seal makes a value unreadable to whoever has the database only. It must not be called inside of a transaction.
func (m *Module) seal(ctx context.Context, ws kernel.WorkspaceID, aad string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("alert: %w", err)
	}
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return nil, fmt.Errorf("alert: %w", err)
	}
	return box.Seal(plain, []byte(aad))
}

// sealText is seal for a text that may be empty: then there is nothing to store.
func (m *Module) sealText(ctx context.Context, ws kernel.WorkspaceID, aad, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	return m.seal(ctx, ws, aad, text)
}

// open reads what seal made. Nothing stored leaves v as it is.
func (m *Module) open(ctx context.Context, ws kernel.WorkspaceID, aad string, sealed []byte, v any) error {
	if len(sealed) == 0 {
		return nil
	}
	box, err := m.d.Keys.Box(ctx, ws)
	if err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	plain, err := box.Open(sealed, []byte(aad))
	if err != nil {
		return fmt.Errorf("alert: %s: %w", aad, err)
	}
	return json.Unmarshal(plain, v)
}
