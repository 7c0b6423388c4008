package dispatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxRound is the largest number of jobs of each kind that one round of the
	// reconciler moves.
	maxRound = 1000
	// unsentAfter is how old a queued job without a message must be before the
	// reconciler puts one. The node that queued a younger job is about to send it.
	unsentAfter = 2 * time.Second
	// maxNoted is the largest number of jobs of one round that get an event each. If
	// there are more, one event is recorded for all.
	maxNoted = 100
)

// resender puts new messages for queued jobs.
type resender struct {
	ledger   *ledger.Ledger
	producer *queue.Producer
	sender   *sender
	events   *eventRecorder

	looks retry.Pace
}

// resendMissing puts messages for queued jobs that can have none: never put, or
// put on a server that has restarted or does not answer. A restarted server may
// still have a message in its binlog. resendMissing reports whether there are more
// such jobs. living maps the instances of the servers that answer to addresses.
func (r *resender) resendMissing(ctx context.Context, living map[string]string) (more bool) {
	began := time.Now()
	if !r.looks.Ready(began) {
		return false
	}
	instances := slices.Collect(maps.Keys(living))
	list, more, err := r.ledger.Unsent(ctx, instances, time.Now().Add(-unsentAfter), maxRound)
	r.looks.Took(time.Now(), time.Since(began))
	r.events.warn(ctx, "cannot look for jobs without a message", err)
	missing, markErr := r.markFound(ctx, living, list)
	r.events.warn(ctx, "messages that are still there are not marked", markErr)
	missing, err = r.unchanged(ctx, missing)
	r.events.warn(ctx, "cannot read the jobs without a message again", err)
	if err != nil || len(missing) > 0 && r.resend(ctx, missing, reasonUnsent) != nil {
		return false
	}
	return more && markErr == nil
}

func reasonUnsent(p ledger.Placed) string {
	if p.Server == "" {
		return "no message was put for it yet"
	}
	return "beanstalkd " + p.Server + ", which had its message, is gone and no other has it"
}

// markFound marks the jobs whose messages have survived a restart of their server,
// and returns the others.
func (r *resender) markFound(ctx context.Context, living map[string]string, list []ledger.Placed) (missing []ledger.Placed, err error) {
	var placed []ledger.Placed
	for _, p := range list {
		if p.Server == "" {
			missing = append(missing, p)
		} else {
			placed = append(placed, p)
		}
	}
	for server, addr := range living {
		if len(placed) == 0 {
			break
		}
		found, rest := r.findOn(ctx, server, addr, placed)
		placed = rest
		if markErr := r.sender.mark(ctx, found); markErr != nil {
			err = markErr
			continue
		}
		r.events.action("found", len(found))
	}
	return append(missing, placed...), err
}

// findOn looks on one server for the messages of jobs. It compares their bodies,
// because a server whose binlog was lost numbers its messages from 1 again.
func (r *resender) findOn(ctx context.Context, server, addr string, list []ledger.Placed) (found []ledger.Sent, rest []ledger.Placed) {
	bodies, err := r.producer.Peek(ctx, addr, messageIDs(list))
	r.events.warn(ctx, "cannot look for messages", err)
	for i, p := range list {
		if messageJob(bodies[i]) == p.ID {
			found = append(found, ledger.Sent{ID: p.ID, Server: server, Message: p.Message})
		} else {
			rest = append(rest, p)
		}
	}
	return found, rest
}

// unchanged returns the jobs that are still queued as they were when they were read. Others
// may have run meanwhile, and their messages are gone with them.
func (r *resender) unchanged(ctx context.Context, list []ledger.Placed) (same []ledger.Placed, err error) {
	for part := range slices.Chunk(list, maxRound) {
		ids := make([]string, len(part))
		for i, p := range part {
			ids[i] = p.ID
		}
		now, err := r.ledger.GetMany(ctx, ids)
		if err != nil {
			return nil, err
		}
		queued := make(map[string]time.Time, len(now))
		for i := range now {
			if now[i].State == jobs.Queued {
				queued[now[i].ID] = now[i].Updated
			}
		}
		for _, p := range part {
			if at, ok := queued[p.ID]; ok && at.Equal(p.Updated) {
				same = append(same, p)
			}
		}
	}
	return same, nil
}

// resend puts new messages for queued jobs, and records the reason for each.
func (r *resender) resend(ctx context.Context, list []ledger.Placed, reason func(ledger.Placed) string) error {
	records := make([]ledger.Record, len(list))
	for i, p := range list {
		records[i] = p.Record
	}
	if err := r.sender.send(ctx, records); err != nil {
		r.events.warn(ctx, "cannot put messages again", err)
		return err
	}
	r.events.action("resent", len(list))
	r.events.log.Info("messages put again", "jobs", len(list), "job", list[0].ID, "program", list[0].Program, "reason", reason(list[0]))
	if len(list) > maxNoted {
		r.events.record(ctx, []eventlog.Event{{Kind: "resent", Message: fmt.Sprintf("%d messages were put again, the first one for job %s: %s", len(list), list[0].ID, reason(list[0]))}})
		return nil
	}
	events := make([]eventlog.Event, len(list))
	for i, p := range list {
		events[i] = eventlog.Event{Kind: "resent", Job: p.ID, Message: "a new message was put: " + reason(p)}
	}
	r.events.record(ctx, events)
	return nil
}
