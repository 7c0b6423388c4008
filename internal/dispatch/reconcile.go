package dispatch

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// round is the most jobs of each kind that one round of the reconciler moves.
const round = 1000

// reconcile puts right, until ctx ends, what a crash left undone.
func (d *Dispatcher) reconcile(ctx context.Context) error {
	a := newAudit(d)
	for {
		full := false
		d.guard(ctx, "reconciler", func() { full = d.reconcileOnce(ctx, a) })
		// A round that moved all it may is followed by the next one at once.
		if !full && !retry.Sleep(ctx, d.cfg.Interval) || ctx.Err() != nil {
			return nil
		}
	}
}

// reconcileOnce makes one round and reports whether there is surely more to do.
func (d *Dispatcher) reconcileOnce(ctx context.Context, a *audit) bool {
	lost, err := d.cfg.Ledger.Recover(ctx, round)
	d.warn(ctx, "cannot recover the jobs of dead nodes", err)
	for _, r := range lost {
		d.log.Warn("job lost with its node", "job", r.ID, "state", r.State)
	}
	d.acted("lost", len(lost))
	expired, err := d.cfg.Ledger.Expire(ctx, round)
	d.warn(ctx, "cannot end expired jobs", err)
	d.acted("expired", len(expired))
	living := d.living(ctx)
	if len(living) == 0 {
		return len(lost) == round || len(expired) == round
	}
	d.guard(ctx, "survey", func() { d.survey.run(ctx, d, living) })
	d.guard(ctx, "pauses", func() { d.pauses.run(ctx, d) })
	if err := d.markRest(ctx); err != nil {
		d.warn(ctx, "the ledger does not take in where messages are; none is put again until it does", err)
		return false
	}
	more := false
	d.guard(ctx, "resend", func() { more = d.resend(ctx, living) })
	d.guard(ctx, "audit", func() { a.run(ctx, living) })
	return len(lost) == round || len(expired) == round || more
}

// living maps the instances of the beanstalkd servers that answer to their addresses.
func (d *Dispatcher) living(ctx context.Context) map[string]string {
	servers, _ := d.producer.Servers(ctx) // the consumers report an outage
	living := map[string]string{}
	for _, s := range servers {
		if s.Err == nil {
			living[s.ID] = s.Addr
		}
	}
	return living
}

// Recover takes back the jobs that earlier instances of this node left
// running, once ledger.Register has declared those dead.
func (d *Dispatcher) Recover(ctx context.Context) error {
	for {
		lost, err := d.cfg.Ledger.Recover(ctx, round)
		if err != nil {
			return err
		}
		for _, r := range lost {
			d.log.Warn("job was running when its node ended; it is taken back", "job", r.ID, "state", r.State)
		}
		d.acted("lost", len(lost))
		if len(lost) < round {
			return nil
		}
	}
}

func (d *Dispatcher) warn(ctx context.Context, message string, err error) {
	if err != nil && ctx.Err() == nil {
		d.log.Warn(message, "err", err)
	}
}

// acted tells what the reconciler has done.
func (d *Dispatcher) acted(kind string, n int) {
	if n > 0 {
		d.cfg.OnAction(kind, n)
	}
}

// note records events of the reconciler.
func (d *Dispatcher) note(ctx context.Context, events []eventlog.Event) {
	if len(events) == 0 {
		return
	}
	for i := range events {
		events[i].Node = d.cfg.Node
	}
	if err := d.cfg.Ledger.Events.NoteAll(ctx, events); err != nil {
		d.warn(ctx, "events not recorded", err)
	}
}
