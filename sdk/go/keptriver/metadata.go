package keptriver

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/riverqueue/river/rivertype"

	kept "github.com/kept-dev/kept/sdk/go"
)

// metadata is what Kept reads from a job's metadata.
type metadata struct {
	TraceID     string `json:"trace_id"`
	ParentID    textID `json:"parent_id"`
	ParentQueue string `json:"parent_queue"`
	Env         string `json:"env"`
	Snoozes     int    `json:"snoozes"`  // River's own
	Periodic    bool   `json:"periodic"` // River's own
}

// textID accepts an id as text or as a number, whose digits it keeps.
type textID string

func (id *textID) UnmarshalJSON(raw []byte) error {
	*id = textID(strings.Trim(string(raw), `"`))
	if *id == "null" {
		*id = ""
	}
	return nil
}

// readMeta reads the metadata member by member, so that one of a strange type hides no other.
func readMeta(row *rivertype.JobRow) metadata {
	var m metadata
	var members map[string]json.RawMessage
	if json.Unmarshal(row.Metadata, &members) == nil {
		for name, to := range map[string]any{
			"trace_id": &m.TraceID, "parent_id": &m.ParentID, "parent_queue": &m.ParentQueue,
			"env": &m.Env, "snoozes": &m.Snoozes, "periodic": &m.Periodic,
		} {
			if raw, ok := members[name]; ok {
				_ = json.Unmarshal(raw, to)
			}
		}
	}
	if m.TraceID == "" {
		m.TraceID = argsTrace(row.EncodedArgs)
	}
	if id, ok := kept.ParseTraceparent(m.TraceID); ok {
		m.TraceID = id
	}
	return m
}

func argsTrace(args []byte) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(args, &members) != nil {
		return ""
	}
	for _, name := range []string{"trace_id", "traceId"} {
		var id string
		if json.Unmarshal(members[name], &id) == nil && id != "" {
			return id
		}
	}
	return ""
}

// annotate writes what the context knows about trace and parent into the
// metadata of a job to be inserted, where the program has not said otherwise.
func annotate(ctx context.Context, p *rivertype.JobInsertParams) {
	add := map[string]string{}
	if id := kept.TraceID(ctx); id != "" {
		add["trace_id"] = id
	}
	if parent := kept.RunningJob(ctx).Job(); parent.ID != "" {
		add["parent_id"], add["parent_queue"], add["env"] = parent.ID, parent.Queue, parent.Env
	}
	members := map[string]json.RawMessage{}
	if len(p.Metadata) > 0 && json.Unmarshal(p.Metadata, &members) != nil || members == nil {
		return // not an object: River will say so
	}
	if _, own := members["parent_id"]; own {
		delete(add, "parent_queue")
	}
	changed := false
	for name, value := range add {
		if _, own := members[name]; !own && value != "" {
			members[name], _ = json.Marshal(value)
			changed = true
		}
	}
	if !changed {
		return
	}
	if raw, err := json.Marshal(members); err == nil {
		p.Metadata = raw
	}
}

// outputContext is the context a job works with. River keeps the output of
// river.RecordOutput in a map in the context under a key that only River can
// name; this context sees the map go by when River looks it up.
type outputContext struct {
	context.Context
	updates atomic.Pointer[map[string]any]
}

func (c *outputContext) Value(key any) any {
	v := c.Context.Value(key)
	if updates, ok := v.(map[string]any); ok {
		if k := reflect.ValueOf(key); k.Kind() == reflect.String && k.String() == "river_metadata_updates" {
			c.updates.Store(&updates)
		}
	}
	return v
}

// output returns the recorded output as JSON, or nil. It is called after the
// worker has returned, as River's own reading is.
func (c *outputContext) output() any {
	updates := c.updates.Load()
	if updates == nil {
		return nil
	}
	if raw, ok := (*updates)[rivertype.MetadataKeyOutput].(json.RawMessage); ok {
		return raw
	}
	return nil
}
