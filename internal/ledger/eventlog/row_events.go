package eventlog

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

var qRowEvents = engine.NewQuery("SELECT accepted, state, finished, attempt, node, submitter FROM jobs WHERE id = ?")

// rowEvents returns the events of a job that are not stored but follow from its row,
// newest first.
func rowEvents(ctx context.Context, r engine.Reader, job string) (list []Event, err error) {
	var accepted, finished int64
	var state jobs.State
	var attempt int
	var node, submitter string
	found, err := r.Row(ctx, qRowEvents, []any{job}, &accepted, (*string)(&state), &finished, &attempt, &node, &submitter)
	if err != nil || !found {
		return nil, err
	}
	if state == jobs.Succeeded {
		message := fmt.Sprintf("attempt %d: succeeded", attempt)
		list = append(list, rowEvent(Event{At: engine.FromMicros(finished), Kind: KindSucceeded, Job: job, Node: node, Message: message}))
	}
	return append(list, rowEvent(Event{At: engine.FromMicros(accepted), Kind: KindAccepted, Job: job, By: submitter})), nil
}

// rowEvent sets an id that is the same at each read.
func rowEvent(e Event) Event {
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.Job+" "+e.Kind))
	binary.BigEndian.PutUint64(id[:8], uint64(e.At.UnixMilli())<<16|uint64(id[6]&0x0f)<<8|uint64(id[7])|0x7000)
	e.ID = id.String()
	return e
}
