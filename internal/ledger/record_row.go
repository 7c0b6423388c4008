package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/live"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/jobs"
)

const maxLogTail = 64 << 10 // bytes

// cleanError returns a copy of e within the bounds; nil for nil.
func cleanError(e *jobs.Error) *jobs.Error {
	if e == nil {
		return nil
	}
	return &jobs.Error{
		Class:   jobs.Outcome(engine.Clean(string(e.Class), engine.MaxName)),
		Message: engine.Clean(e.Message, engine.MaxReason),
		Pointer: engine.Clean(e.Pointer, engine.MaxMessage),
		LogTail: engine.Clean(logtext.Last(e.LogTail, maxLogTail), maxLogTail),
	}
}

// errorText returns e as JSON; "" for nil.
func errorText(e *jobs.Error) string {
	if e == nil {
		return ""
	}
	b, _ := json.Marshal(e)
	return string(b)
}

func labelsText(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	b, _ := json.Marshal(labels)
	return string(b)
}

// recordColumns are the columns of jobs that make a Record.
const recordColumns = `id, program, state, priority, created, accepted, not_before, expires, started, finished, updated,
	attempt, spent, crashes, cancel_requested, node, instance, reason, error, labels, due, quarantine, alone_crashes,
	fetch_since, fetch_tries, start_after, interruptions, longest_interrupted`

// recordRow is the scan target of recordColumns and of columns that some queries add.
type recordRow struct {
	Record
	created, accepted, notBefore, expires, started, finished, updated, due, fetchSince, startAfter, longest int64
	errText, labels                                                                                         string
	requested                                                                                               int
	document                                                                                                []byte
	live                                                                                                    live.Row
}

func (r *recordRow) dest() []any {
	return []any{
		&r.ID, &r.Program, (*string)(&r.State), &r.Priority, &r.created, &r.accepted, &r.notBefore, &r.expires,
		&r.started, &r.finished, &r.updated, &r.Attempt, &r.Spent, &r.Crashes, &r.requested,
		&r.Node, &r.Instance, &r.Reason, &r.errText, &r.labels, &r.due, &r.Quarantined, &r.AloneCrashes,
		&r.fetchSince, &r.FetchTries, &r.startAfter, &r.Interruptions, &r.longest,
	}
}

// withDocument returns the targets of recordColumns and engine.Document.
func (r *recordRow) withDocument() []any { return append(r.dest(), &r.document) }

// withLive returns the targets of recordColumns and live.Columns.
func (r *recordRow) withLive() []any { return append(r.dest(), r.live.Dest()...) }

// withAll returns the targets of recordColumns, engine.Document, live.Columns and the
// partial result.
func (r *recordRow) withAll() []any {
	return append(append(r.withDocument(), r.live.Dest()...), &r.live.Partial)
}

// record converts the scanned row.
func (r *recordRow) record() (Record, error) {
	r.Created, r.Accepted = engine.FromMicros(r.created), engine.FromMicros(r.accepted)
	r.NotBefore, r.Expires = engine.FromMicros(r.notBefore), engine.FromMicros(r.expires)
	r.Started, r.Finished, r.Updated = engine.FromMicros(r.started), engine.FromMicros(r.finished), engine.FromMicros(r.updated)
	r.Due, r.FetchSince, r.StartAfter = engine.FromMicros(r.due), engine.FromMicros(r.fetchSince), engine.FromMicros(r.startAfter)
	r.LongestInterrupted = engine.Microseconds(r.longest)
	r.Document, r.Asked = r.document, requestedVerb(r.requested)
	if r.errText != "" {
		if err := json.Unmarshal([]byte(r.errText), &r.Record.Error); err != nil {
			return r.Record, fmt.Errorf("error of job %s: %w", r.ID, err)
		}
	}
	if r.labels != "" {
		if err := json.Unmarshal([]byte(r.labels), &r.Labels); err != nil {
			return r.Record, fmt.Errorf("labels of job %s: %w", r.ID, err)
		}
	}
	var err error
	r.Live, err = r.live.Value()
	return r.Record, err
}

var qGet = engine.NewQuery("SELECT " + recordColumns + ", " + engine.Document + `,
	` + live.Names + `, partial FROM (SELECT jobs.*, ` + live.Renamed + `, partials.partial FROM jobs
	LEFT JOIN live ON live.job = jobs.id AND live.attempt = jobs.attempt
	LEFT JOIN partials ON partials.job = jobs.id AND partials.attempt = jobs.attempt
	WHERE jobs.id = ?) AS jobs`)

// get returns one job, with document and partial result.
func (t *txn) get(id string) (Record, bool, error) {
	var row recordRow
	found, err := t.Row(qGet, []any{id}, row.withAll()...)
	if err != nil || !found {
		return Record{}, false, err
	}
	r, err := row.record()
	return r, err == nil, err
}
