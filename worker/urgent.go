package worker

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// moreUrgent trades the message that is held for that of a more urgent job that
// has become due and whose message is delayed still: among due jobs the priority
// decides. It returns what the message that is held then hints at.
func (l *lane) moreUrgent(ctx context.Context, held **queue.Delivery, h hint) hint {
	message := *held
	jobs, err := l.cfg.Ledger.MoreUrgent(ctx, h.ID, message.Server)
	if err != nil {
		l.logger.Debug("cannot ask for more urgent jobs", "err", err) // the claim will tell
		return h
	}
	programs := l.programs.current().programs
	for _, job := range jobs {
		if p := programs[job.Program]; p == nil || p.about.Problem != "" {
			continue
		}
		other, err := message.Other(ctx, job.Message)
		if err != nil {
			continue // another lane was quicker
		}
		if found, err := readHint(other.Body); err != nil || found.ID != job.ID {
			l.putBack(ctx, other, 0) // the numbers begin again where a binlog was lost
			continue
		}
		*held = other
		l.putBack(ctx, message, 0)
		l.pass("trade")
		return hint{ID: job.ID, Program: job.Program}
	}
	return h
}
