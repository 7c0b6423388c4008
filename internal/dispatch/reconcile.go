package dispatch

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// tubesEvery is how often the reconciler lists the tubes of the servers.
const tubesEvery = 5 * time.Second

// reconciler repairs what a crash of a node or of beanstalkd left undone.
type reconciler struct {
	interval time.Duration
	ledger   *ledger.Ledger
	producer *queue.Producer
	sender   *sender
	resender *resender
	check    *messageCheck
	shared   *sharedInboxes
	orphaned *orphanedInboxes
	oldTubes *oldRunTubes
	paused   *pausedTubes
	events   *eventRecorder

	nextTubes time.Time // when to list the tubes again
}

// run makes one round after the other until ctx ends.
func (r *reconciler) run(ctx context.Context) {
	for {
		more := false
		r.events.guard(ctx, "reconciler", func() { more = r.once(ctx) })
		if !more && !retry.Sleep(ctx, r.interval) || ctx.Err() != nil {
			return
		}
	}
}

// once makes one round, and reports whether there is surely more to do.
func (r *reconciler) once(ctx context.Context) bool {
	lost, err := r.ledger.Recover(ctx, maxRound)
	r.events.warn(ctx, "cannot recover the jobs of dead nodes", err)
	for _, job := range lost {
		r.events.log.Warn("job lost with its node", "job", job.ID, "state", job.State)
	}
	r.events.action("lost", len(lost))
	expired, err := r.ledger.Expire(ctx, maxRound)
	r.events.warn(ctx, "cannot end expired jobs", err)
	r.events.action("expired", len(expired))
	full := len(lost) == maxRound || len(expired) == maxRound
	living := r.living(ctx)
	if len(living) == 0 {
		return full
	}
	r.events.guard(ctx, "tubes", func() { r.lookAtTubes(ctx, living) })
	r.events.guard(ctx, "pauses", func() { r.paused.resumeAll(ctx) })
	if err := r.sender.markRest(ctx); err != nil {
		r.events.warn(ctx, "the ledger does not take in where messages are; none is put again until it does", err)
		return false
	}
	more := false
	r.events.guard(ctx, "resend", func() { more = r.resender.resendMissing(ctx, living) })
	r.events.guard(ctx, "check", func() { r.check.run(ctx, living) })
	return full || more
}

// living maps the instances of the beanstalkd servers that answer to their
// addresses.
func (r *reconciler) living(ctx context.Context) map[string]string {
	servers, _ := r.producer.Servers(ctx) // the consumers report an outage
	living := map[string]string{}
	for _, s := range servers {
		if s.Err == nil {
			living[s.ID] = s.Addr
		}
	}
	return living
}

// lookAtTubes lists the tubes of every server, unless it did a moment ago.
func (r *reconciler) lookAtTubes(ctx context.Context, living map[string]string) {
	if time.Now().Before(r.nextTubes) {
		return
	}
	r.nextTubes = time.Now().Add(tubesEvery)
	for _, addr := range living {
		tubes, err := r.producer.Tubes(ctx, addr)
		if err != nil {
			r.events.warn(ctx, "cannot list the tubes of beanstalkd", err)
			continue
		}
		r.oldTubes.empty(ctx, addr, tubes)
		r.shared.look(ctx, addr, tubes)
		r.orphaned.look(ctx, addr, tubes)
	}
}
