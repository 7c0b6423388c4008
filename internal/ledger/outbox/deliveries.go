package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// targetUnknown is the target of a job from a version that did not store targets.
const targetUnknown = "?"

var (
	qTarget = engine.NewQuery("SELECT " + engine.Document + " FROM jobs WHERE id = ?")
	// A delivery that is being sent keeps its lease. The newer end is sent after it.
	qDelivery = engine.NewQuery("INSERT INTO hooks (" + hookColumns + `, next, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET url = excluded.url, program = excluded.program, state = excluded.state, class = excluded.class,
		attempt = excluded.attempt, created = excluded.created, tries = 0, message = '',
		next = CASE WHEN hooks.owner = '' THEN excluded.next ELSE hooks.next END`)
	qDelivering = engine.NewQuery("SELECT url, created, tries, next, message FROM hooks WHERE id = ? AND kind = '" + KindDelivery + "'")
	qDelivered  = engine.NewQuery(`INSERT INTO deliveries (job, url, at, given_up, tries, message) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (job) DO UPDATE SET url = excluded.url, at = excluded.at, given_up = excluded.given_up, tries = excluded.tries, message = excluded.message`)
	qForgetDelivery = engine.NewQuery("DELETE FROM deliveries WHERE job = ?")
	qDelivery1      = engine.NewQuery("SELECT url, at, given_up, tries, message FROM deliveries WHERE job = ?")
)

// Delivery is the state of the delivery of a final document.
type Delivery struct {
	URL string
	// State is "" if none is due: the result is served here, or the job has not ended.
	State api.DeliveryState
	// At is when it was delivered or given up. Next is the next try of a pending one.
	At, Next time.Time
	Tries    int    // failed ones
	Message  string // the last failure
}

// writeDelivery writes a delivery, unless the pool itself serves its URL: more base URLs
// may be known than when the job was accepted.
func (o *Outbox) writeDelivery(t engine.Tx, h *Hook) error {
	if h.URL == targetUnknown {
		var text []byte
		if _, err := t.Row(qTarget, []any{h.Job}, &text); err != nil {
			return err
		}
		job, _ := jobdoc.Read(text)
		h.URL = engine.Clean(job.Result.URL, engine.MaxURL)
	}
	var err error
	if h.URL, err = o.Elsewhere(t, h.URL); err != nil || h.URL == "" {
		return err
	}
	_, err = t.Exec(qDelivery, h.args()...)
	return err
}

// endDelivery records that a delivery was done or given up.
func endDelivery(t engine.Tx, h Hook, givenUp bool, message string) error {
	_, err := t.Exec(qDelivered, h.Job, h.URL, engine.Micros(t.Now()), engine.Bool(givenUp), h.Tries, message)
	t.Changed(h.Job)
	return err
}

// Delivery returns the state of the delivery of a job.
func (o *Outbox) Delivery(ctx context.Context, job string) (d Delivery, err error) {
	var at, next int64
	pending, err := o.ledger.Row(ctx, qDelivering, []any{job}, &d.URL, &at, &d.Tries, &next, &d.Message)
	if err == nil && pending {
		d.State, d.Next = api.DeliveryPending, engine.FromMicros(next)
		return d, nil
	}
	var givenUp int64
	known, err := o.ledger.Row(ctx, qDelivery1, []any{job}, &d.URL, &at, &givenUp, &d.Tries, &d.Message)
	if err != nil {
		return d, fmt.Errorf("ledger: delivery: %w", err)
	}
	if known {
		d.State, d.At = api.DeliveryDone, engine.FromMicros(at)
		if givenUp != 0 {
			d.State = api.DeliveryGivenUp
		}
	}
	return d, nil
}

// Forget deletes the record of a delivery when its job is retried.
func (o *Outbox) Forget(t engine.Tx, job string) error {
	_, err := t.Exec(qForgetDelivery, job)
	return err
}
