package dispatch

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// round is the most jobs of each kind that one round of the reconciler moves.
const round = 1000

// unsentAfter is how old a queued job without a message must be before the
// reconciler puts one: younger ones are about to be sent by who queued them.
const unsentAfter = 2 * time.Second

// reconcile puts right, until ctx ends, what a crash left undone.
func (d *Dispatcher) reconcile(ctx context.Context) error {
	for {
		full := d.reconcileOnce(ctx)
		// A round that moved all it may is followed by the next one at once.
		if !full && !sleep(ctx, d.cfg.Interval) || ctx.Err() != nil {
			return nil
		}
	}
}

// reconcileOnce makes one round and reports whether there is surely more to do.
func (d *Dispatcher) reconcileOnce(ctx context.Context) bool {
	lost, err := d.cfg.Ledger.Recover(ctx, round)
	d.warn(ctx, "cannot recover the jobs of dead nodes", err)
	for _, r := range lost {
		d.log.Warn("job lost with its node", "job", r.ID, "state", r.State)
	}
	expired, err := d.cfg.Ledger.Expire(ctx, round)
	d.warn(ctx, "cannot end expired jobs", err)
	resent := d.resend(ctx)
	return len(lost) == round || len(expired) == round || resent == round
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
			d.log.Warn("job was running when this node ended; it is taken back", "job", r.ID, "state", r.State)
		}
		if len(lost) < round {
			return nil
		}
	}
}

// resend puts messages for queued jobs that can have none: never put, or put
// on a server that has since restarted or does not answer. It returns how many.
func (d *Dispatcher) resend(ctx context.Context) int {
	servers, err := d.producer.Servers(ctx)
	if err != nil {
		return 0
	}
	var living []string
	for _, s := range servers {
		if s.Err == nil {
			living = append(living, s.ID)
		}
	}
	if len(living) == 0 {
		return 0
	}
	records, err := d.cfg.Ledger.Unsent(ctx, living, time.Now().Add(-unsentAfter), round)
	d.warn(ctx, "cannot look for jobs without a message", err)
	if len(records) == 0 {
		return 0
	}
	if err := d.Send(ctx, records); err != nil {
		d.warn(ctx, "cannot put messages again", err)
		return 0
	}
	d.note(ctx, records)
	return len(records)
}

func (d *Dispatcher) note(ctx context.Context, records []ledger.Record) {
	d.log.Info("messages put again", "jobs", len(records))
	events := make([]ledger.Event, len(records))
	for i, r := range records {
		events[i] = ledger.Event{Kind: "resent", Job: r.ID, Node: d.cfg.Node, Message: "its message cannot be on the run tube any more; a new one was put"}
	}
	d.warn(ctx, "events not recorded", d.cfg.Ledger.NoteAll(ctx, events))
}

func (d *Dispatcher) warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		d.log.Warn(what, "err", err)
	}
}
