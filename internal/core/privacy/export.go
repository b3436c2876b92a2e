package privacy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// exportFormat names the form of the document that Export writes.
const exportFormat = "kept-export/1"

// Exported counts what went into an export.
type Exported struct {
	Collection string `json:"collection"`
	Items      int64  `json:"items"`
}

// Export streams everything that is held of a workspace as one JSON document. Collections stand in the order of the
// data map; those that are not exported say why. After an error the document is cut off and is no valid JSON, so that
// nobody takes it for complete.
func (m *Module) Export(ctx context.Context, ws kernel.WorkspaceID, w io.Writer) ([]Exported, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	e := exporter{w: out}
	e.raw(`{"format":`).json(exportFormat).raw(`,"workspace":`).json(ws)
	e.raw(`,"made_at":`).json(m.clock().UTC().Format(time.RFC3339)).raw(`,"collections":[`)
	var counts []Exported
	for i, c := range m.dataMap().Collections() {
		if i > 0 {
			e.raw(",")
		}
		e.raw("\n")
		n, err := e.collection(ctx, c, ws)
		if err != nil {
			return counts, fmt.Errorf("privacy: export %s: %w", c.Name, err)
		}
		if c.Export != nil {
			counts = append(counts, Exported{Collection: c.Name, Items: n})
		}
	}
	e.raw("\n]}\n")
	if e.err == nil {
		e.err = out.Flush()
	}
	if e.err != nil {
		return counts, fmt.Errorf("privacy: export: %w", e.err)
	}
	return counts, nil
}

// exporter writes JSON piece by piece and remembers the first error.
type exporter struct {
	w   io.Writer
	err error
}

func (e *exporter) raw(s string) *exporter {
	if e.err == nil {
		_, e.err = io.WriteString(e.w, s)
	}
	return e
}

func (e *exporter) json(v any) *exporter {
	if e.err != nil {
		return e
	}
	var b []byte
	if b, e.err = json.Marshal(v); e.err == nil {
		_, e.err = e.w.Write(b)
	}
	return e
}

// collectionHead tells the reader of an export what the items are and why they are held.
type collectionHead struct {
	Name       string `json:"name"`
	Title      string `json:"title"`
	Where      string `json:"where"`
	Purpose    string `json:"purpose"`
	LegalBasis string `json:"legal_basis,omitempty"`
	Retention  string `json:"retention"`
	Processor  string `json:"processor,omitempty"`
}

func (e *exporter) collection(ctx context.Context, c Collection, ws kernel.WorkspaceID) (n int64, err error) {
	e.raw(`{"about":`).json(collectionHead{c.Name, c.Title, c.Where, c.Purpose, c.LegalBasis, c.Retention, c.Processor})
	if c.Export == nil {
		e.raw(`,"not_exported":`).json(c.NoExport).raw("}")
		return 0, e.err
	}
	e.raw(`,"items":[`)
	err = c.Export(ctx, ws, func(v any) error {
		if n > 0 {
			e.raw(",")
		}
		n++
		e.raw("\n").json(v)
		return e.err
	})
	if err != nil {
		return n, err
	}
	// The count comes last because it is known last; it lets the reader tell a complete list.
	e.raw(`],"count":`).json(n).raw("}")
	return n, e.err
}
