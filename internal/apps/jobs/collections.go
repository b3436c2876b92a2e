package jobs

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// The databases, as the data map calls them.
const (
	where      = "jobs database"
	whereIndex = "job index database"
)

// noExport says of what is made from the log that the log is exported.
const noExport = "made from the event log, which is exported"

// Collections declares everything that the app stores.
func (m *Module) Collections() []privacy.Collection {
	base := privacy.Collection{Module: m.Name(), Where: where, Subjects: "whoever appears in a customer's job payloads and errors",
		LegalBasis: "contract", Retention: "by plan: Free 7 days, Pro 90 days; self-hosted as the operator sets it",
		Promises: []string{"COL-2", "RET-1", "SEC-4"}}
	return []privacy.Collection{m.logCollection(base), m.streamCollection(base), m.segmentCollection(base), m.blockCollection(base),
		m.deploymentCollection(base), m.projectionCollection(base), m.settingsCollection(base)}
}

var workspaceField = privacy.Field{Name: "workspace_id", Category: privacy.Technical, Note: "whose it is"}

func (m *Module) logCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title = "job_log", "Job events"
	c.Purpose = "To show what background jobs did: their states, times, payloads, results, errors and log lines."
	c.Fields = []privacy.Field{workspaceField,
		{Name: "first_offset", Category: privacy.Technical, Note: "number of the block's first event"},
		{Name: "events", Category: privacy.Technical, Note: "how many events the block holds"},
		{Name: "min_at", Category: privacy.Telemetry, Note: "time of its oldest event"},
		{Name: "max_at", Category: privacy.Telemetry, Note: "time of its newest event"},
		{Name: "first_received_at", Category: privacy.Technical, Note: "when its oldest event came"},
		{Name: "last_received_at", Category: privacy.Technical, Note: "when its newest event came"},
		{Name: "codec", Category: privacy.Technical, Note: "how it is compressed"},
		{Name: "words", Category: privacy.Content, Note: "sealed filter of the words in it, for the search"},
		{Name: "meta", Category: privacy.Content, Note: "sealed: job ids, names, queues, states, times, first lines of errors, trace ids, agents"},
		{Name: "bodies", Category: privacy.Content, Note: "sealed: payloads, results, errors, stack traces, log lines"},
	}
	c.Oldest = func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		return micros(m.log.Oldest(ctx, ws))
	}
	c.Count = m.log.Count
	c.Sweep = perWorkspace(m.log.Sweep)
	c.MaxAge = m.d.MaxAge
	c.Erase = m.log.Erase
	c.Export = m.exportEvents
	return c
}

func micros(us int64, err error) (time.Time, error) { return kernel.FromMicros(us), err }

// perWorkspace skips the call for rows of no workspace: all of these rows have one.
func perWorkspace(sweep func(context.Context, kernel.WorkspaceID, int64) (int64, error)) func(context.Context, kernel.WorkspaceID, time.Time) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		if ws == "" {
			return 0, nil
		}
		return sweep(ctx, ws, kernel.Micros(before))
	}
}

// exportedEvent is an event in an export.
type exportedEvent struct {
	StepJSON
	Queue string `json:"queue"`
	JobID string `json:"job_id"`
	Name  string `json:"name,omitempty"`
	Env   string `json:"env,omitempty"`
	Trace string `json:"trace_id,omitempty"`
	Agent string `json:"agent,omitempty"`
}

func (m *Module) exportEvents(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
	return m.log.Each(ctx, ws, func(r *eventlog.Record) error {
		word := string(r.TypeName)
		if word == "" {
			word = r.Type.String()
		}
		return item(exportedEvent{StepJSON{At: at(r.At), ReceivedAt: at(r.ReceivedAt), Event: word, Copies: 1, Data: r.Data},
			string(r.Queue), string(r.JobID), string(r.Name), string(r.Env), string(r.TraceID), string(r.Agent)})
	})
}

func (m *Module) streamCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title, c.Purpose = "job_streams", "Job event counters", "To number events."
	c.Subjects, c.Retention, c.Promises = "nobody", "as long as the workspace", []string{"COL-2"}
	c.Fields = []privacy.Field{workspaceField, {Name: "next_offset", Category: privacy.Technical, Note: "number of the next event"}}
	c.NoExport, c.NoErase = "a counter", "goes with job_log"
	return privacy.Table{DB: m.d.DB, Of: "workspace_id"}.Declare(c)
}

func (m *Module) segmentCollection(c privacy.Collection) privacy.Collection {
	c.Where = whereIndex
	c.Name, c.Title, c.Purpose = "job_segments", "Job index", "To find jobs quickly."
	c.Fields = []privacy.Field{workspaceField,
		{Name: "segment_id", Category: privacy.Technical},
		{Name: "level", Category: privacy.Technical, Note: "how often it was merged"},
		{Name: "jobs", Category: privacy.Technical, Note: "how many jobs it holds"},
		{Name: "first_received_at", Category: privacy.Technical, Note: "when the job that rested longest was last heard of"},
		{Name: "last_received_at", Category: privacy.Technical},
		{Name: "gone", Category: privacy.Technical, Note: "rows that a newer segment has"},
		{Name: "meta", Category: privacy.Content, Note: "sealed: hashes of job ids; names of queues, jobs and environments"},
	}
	c.Oldest = func(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
		return micros(m.index.Oldest(ctx, ws))
	}
	c.Count = m.index.Count
	c.Sweep = perWorkspace(m.index.Sweep)
	c.MaxAge = m.d.MaxAge
	c.Erase = m.index.Erase
	c.NoExport = noExport
	return c
}

func (m *Module) blockCollection(c privacy.Collection) privacy.Collection {
	c.Where = whereIndex
	c.Name, c.Title, c.Purpose = "job_blocks", "Job index, blocks", "To list jobs, count them and show their history."
	c.Fields = []privacy.Field{workspaceField,
		{Name: "segment_id", Category: privacy.Technical},
		{Name: "number", Category: privacy.Technical},
		{Name: "scan", Category: privacy.Content, Note: "sealed: states, times, durations, queues, names"},
		{Name: "texts", Category: privacy.Content, Note: "sealed: job ids, first lines of errors, trace ids, agents"},
		{Name: "events", Category: privacy.Content, Note: "sealed: times and kinds of each job's events"},
	}
	c.NoExport, c.NoErase = noExport, "goes with job_segments"
	return privacy.Table{DB: m.d.IndexDB, Of: "workspace_id"}.Declare(c)
}

func (m *Module) deploymentCollection(c privacy.Collection) privacy.Collection {
	c.Where = whereIndex
	c.Name, c.Title, c.Purpose = "job_deployments", "Deployments", "To show releases beside failures."
	c.Subjects = "nobody"
	c.Fields = []privacy.Field{workspaceField,
		{Name: "deployment_id", Category: privacy.Telemetry, Note: "the agent's id of the release"},
		{Name: "at", Category: privacy.Telemetry},
		{Name: "received_at", Category: privacy.Technical},
		{Name: "log_offset", Category: privacy.Technical, Note: "where the log has its version and description"},
	}
	c.NoExport, c.NoErase = noExport, "goes with job_segments"
	return privacy.Table{DB: m.d.IndexDB, Of: "workspace_id"}.Declare(c)
}

func (m *Module) projectionCollection(c privacy.Collection) privacy.Collection {
	c.Where = whereIndex
	c.Name, c.Title, c.Purpose = "job_projections", "Job index, progress", "To know how far the index has read the log."
	c.Subjects, c.Retention, c.Promises = "nobody", "as long as the workspace", []string{"COL-2"}
	c.Fields = []privacy.Field{workspaceField,
		{Name: "checkpoint", Category: privacy.Technical},
		{Name: "next_segment", Category: privacy.Technical},
	}
	c.NoExport, c.NoErase = "a counter", "goes with job_segments"
	return privacy.Table{DB: m.d.IndexDB, Of: "workspace_id"}.Declare(c)
}

func (m *Module) settingsCollection(c privacy.Collection) privacy.Collection {
	c.Name, c.Title, c.Purpose = "job_settings", "Job settings", "To keep only what the customer wants kept of payloads."
	c.Subjects, c.Retention, c.Promises = "nobody", "as long as the workspace", []string{"COL-2"}
	c.Fields = []privacy.Field{workspaceField,
		{Name: "payloads", Category: privacy.Settings, Note: "full, keys or none"},
		{Name: "redact_keys", Category: privacy.Settings, Note: "keys whose values are taken out"},
		{Name: "redact_emails", Category: privacy.Settings},
		{Name: "updated_at", Category: privacy.Technical},
	}
	c.Export = func(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
		s, err := m.ReadSettings(ctx, ws)
		if err != nil {
			return err
		}
		return item(s)
	}
	return privacy.Table{DB: m.d.DB, Of: "workspace_id"}.Declare(c)
}
