// Package live holds what a running program has reported last: its progress, counters, chunk
// and partial result.
package live

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Bounds of a report.
const (
	MaxPartial  = 256 << 10 // bytes
	MaxCounters = 64
	maxChunk    = 128 // bytes of its id, and of what it is of
)

// Live is the last report of a running program.
type Live struct {
	Progress *float64
	Message  string
	Counters map[string]float64
	// Chunk is what it works on; nil if it has not said so.
	Chunk *jobs.Chunk
	// Chunks are those that it has begun since the report before, the last of which is Chunk.
	// They are only written.
	Chunks  []chunks.Chunk
	Partial json.RawMessage
	Updated time.Time
}

// Check brings a report into its bounds. It returns engine.ErrTooBig for what cannot be cut.
func (v *Live) Check() error {
	v.Message = engine.Clean(v.Message, engine.MaxMessage)
	if p := v.Progress; p != nil && (math.IsNaN(*p) || math.IsInf(*p, 0)) {
		return fmt.Errorf("progress %v: %w", *p, engine.ErrTooBig)
	}
	if len(v.Partial) > MaxPartial {
		return fmt.Errorf("partial result of %d bytes: %w", len(v.Partial), engine.ErrTooBig)
	}
	for k, n := range v.Counters {
		if len(k) > engine.MaxName || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Errorf("counter %q: %w", engine.Clean(k, engine.MaxName), engine.ErrTooBig)
		}
	}
	for i := range v.Chunks {
		c := &v.Chunks[i]
		c.ID, c.Of = engine.Clean(c.ID, maxChunk), engine.Clean(c.Of, maxChunk)
		v.Chunk = &jobs.Chunk{ID: c.ID, Of: c.Of}
	}
	return nil
}

// With returns the report with the new values of another one.
func (v *Live) With(newer *Live) (*Live, error) {
	m := *v
	if newer.Progress != nil {
		m.Progress = newer.Progress
	}
	if newer.Message != "" {
		m.Message = newer.Message
	}
	if newer.Chunk != nil {
		m.Chunk = newer.Chunk
	}
	m.Partial, m.Chunks = newer.Partial, newer.Chunks
	if len(newer.Counters) > 0 {
		m.Counters = maps.Clone(v.Counters)
		if m.Counters == nil {
			m.Counters = map[string]float64{}
		}
		maps.Copy(m.Counters, newer.Counters)
	}
	if len(m.Counters) > MaxCounters {
		return nil, fmt.Errorf("%d counters: %w", len(m.Counters), engine.ErrTooBig)
	}
	return &m, nil
}

var (
	qReport = engine.NewQuery(`INSERT INTO live (job, attempt, progress, message, counters, chunk, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET attempt = excluded.attempt,
		progress = excluded.progress, message = excluded.message, counters = excluded.counters,
		chunk = excluded.chunk, updated = excluded.updated`)
	qPartial = engine.NewQuery(`INSERT INTO partials (job, attempt, partial) VALUES (?, ?, ?)
		ON CONFLICT (job) DO UPDATE SET attempt = excluded.attempt, partial = excluded.partial`)
)

// Write writes the report of an attempt, with the chunks that it has begun.
func (v *Live) Write(t engine.Tx, id string, attempt int) error {
	counters, err := textOf(v.Counters, len(v.Counters) == 0)
	if err != nil {
		return err
	}
	chunk, err := textOf(v.Chunk, v.Chunk == nil)
	if err != nil {
		return err
	}
	var progress any
	if v.Progress != nil {
		progress = *v.Progress
	}
	_, err = t.Exec(qReport, id, attempt, progress, v.Message, counters, chunk, engine.Micros(t.Now()))
	if err == nil && len(v.Partial) > 0 {
		_, err = t.Exec(qPartial, id, attempt, []byte(v.Partial))
	}
	if err == nil {
		err = chunks.Add(t, id, attempt, v.Chunks)
	}
	return err
}

// textOf returns a value as JSON, or "" for none.
func textOf(v any, none bool) (string, error) {
	if none {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// Columns are those of live, outer-joined, without the partial result, and Renamed the same
// under names of their own for an outer query, which reads them as Names.
const (
	Columns = "live.progress, live.message, live.counters, live.chunk, live.updated"
	Renamed = `live.progress AS live_progress, live.message AS live_message, live.counters AS live_counters,
	live.chunk AS live_chunk, live.updated AS live_updated`
	Names = "live_progress, live_message, live_counters, live_chunk, live_updated"
)

// Row is the scan target of Columns.
type Row struct {
	progress                 sql.NullFloat64
	message, counters, chunk sql.NullString
	updated                  sql.NullInt64
	Partial                  []byte
}

// Dest returns the targets of Columns.
func (r *Row) Dest() []any {
	return []any{&r.progress, &r.message, &r.counters, &r.chunk, &r.updated}
}

// None reports whether there was no report.
func (r *Row) None() bool { return !r.updated.Valid }

// Value returns the report.
func (r *Row) Value() (v Live, err error) {
	if r.progress.Valid {
		v.Progress = &r.progress.Float64
	}
	v.Message, v.Updated = r.message.String, engine.FromMicros(r.updated.Int64)
	if len(r.Partial) > 0 {
		v.Partial = r.Partial
	}
	if r.counters.String != "" {
		err = json.Unmarshal([]byte(r.counters.String), &v.Counters)
	}
	if err == nil && r.chunk.String != "" {
		err = json.Unmarshal([]byte(r.chunk.String), &v.Chunk)
	}
	return v, err
}
