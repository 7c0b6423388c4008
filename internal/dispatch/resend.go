package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

const (
	// unsentAfter is how old a queued job without a message must be before the
	// reconciler puts one: younger ones are about to be sent by who queued them.
	unsentAfter = 2 * time.Second
	// maxNoted is how many jobs of one round get an event each; of more there is
	// one event for all.
	maxNoted = 100
)

// resend puts messages for queued jobs that can have none: never put, or put
// on a server that has since restarted or does not answer, unless a restarted
// one still has them. It reports whether there are more.
func (d *Dispatcher) resend(ctx context.Context, living map[string]string) (more bool) {
	instances := slices.Collect(maps.Keys(living))
	list, more, err := d.cfg.Ledger.Unsent(ctx, instances, time.Now().Add(-unsentAfter), round)
	d.warn(ctx, "cannot look for jobs without a message", err)
	missing, markErr := d.stillThere(ctx, living, list)
	d.warn(ctx, "messages that are still there are not marked", markErr)
	if len(missing) > 0 && d.again(ctx, missing, reasonUnsent) != nil {
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

// stillThere marks the jobs whose messages have survived a restart of their
// server in its binlog, and returns the others.
func (d *Dispatcher) stillThere(ctx context.Context, living map[string]string, list []ledger.Placed) (missing []ledger.Placed, err error) {
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
		found, rest := d.findOn(ctx, server, addr, placed)
		placed = rest
		if fault := d.mark(ctx, found); fault != nil {
			err = fault
			continue
		}
		d.acted("found", len(found))
	}
	return append(missing, placed...), err
}

// findOn looks on one server for the messages of jobs. Their numbers prove
// nothing, for a server whose binlog was lost counts from 1 again.
func (d *Dispatcher) findOn(ctx context.Context, server, addr string, list []ledger.Placed) (found []ledger.Sent, rest []ledger.Placed) {
	bodies, err := d.producer.Peek(ctx, addr, numbers(list))
	d.warn(ctx, "cannot look for messages", err)
	for i, p := range list {
		var hint struct{ ID string }
		if bodies[i] != nil && json.Unmarshal(bodies[i], &hint) == nil && hint.ID == p.ID {
			found = append(found, ledger.Sent{ID: p.ID, Server: server, Message: p.Message})
		} else {
			rest = append(rest, p)
		}
	}
	return found, rest
}

func numbers(list []ledger.Placed) []uint64 {
	ids := make([]uint64, len(list))
	for i, p := range list {
		ids[i] = p.Message
	}
	return ids
}

// again puts new messages for queued jobs and says why.
func (d *Dispatcher) again(ctx context.Context, list []ledger.Placed, reason func(ledger.Placed) string) error {
	records := make([]ledger.Record, len(list))
	for i, p := range list {
		records[i] = p.Record
	}
	if err := d.Send(ctx, records); err != nil {
		d.warn(ctx, "cannot put messages again", err)
		return err
	}
	d.acted("resent", len(list))
	d.log.Info("messages put again", "jobs", len(list), "job", list[0].ID, "program", list[0].Program, "reason", reason(list[0]))
	if len(list) > maxNoted {
		d.note(ctx, []eventlog.Event{{Kind: "resent", Message: fmt.Sprintf("%d messages were put again, the first one for job %s: %s", len(list), list[0].ID, reason(list[0]))}})
		return nil
	}
	events := make([]eventlog.Event, len(list))
	for i, p := range list {
		events[i] = eventlog.Event{Kind: "resent", Job: p.ID, Message: "a new message was put: " + reason(p)}
	}
	d.note(ctx, events)
	return nil
}
