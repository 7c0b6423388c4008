package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// justDue is how long after its start a job's message may be late.
	justDue = time.Minute
	// maxJustDue is at how many of such jobs one look looks, maxUrgent how many it
	// returns.
	maxJustDue = 1000
	maxUrgent  = 8
)

// Urgent is a queued job with its message.
type Urgent struct {
	ID, Program string
	Message     uint64 // its number on the server
}

var qMoreUrgent = engine.NewQuery(fmt.Sprintf(`SELECT id, program, message FROM jobs WHERE id IN (
		SELECT id FROM (SELECT id, priority FROM jobs
			WHERE state = 'queued' AND not_before > 0 AND server = ? AND not_before > ? AND not_before <= ?
			ORDER BY not_before DESC, priority LIMIT %d) AS due
		WHERE priority < (SELECT priority FROM jobs WHERE id = ?) ORDER BY priority LIMIT %d)
	AND crashes < %d ORDER BY priority, accepted, id`, maxJustDue, maxUrgent, QuarantineAfter))

// MoreUrgent lists jobs that became due in the last minute, have messages on a
// server and are more urgent than a job, the most urgent first; none in
// quarantine, which a busy node does not run. Such messages may come later than
// those of jobs that are less urgent: beanstalkd counts delays in whole seconds,
// from when each message was put.
func (l *Ledger) MoreUrgent(ctx context.Context, id, server string) (list []Urgent, err error) {
	now := l.now()
	err = l.reader.Each(ctx, qMoreUrgent, []any{server, engine.Micros(now.Add(-justDue)), engine.Micros(now), id}, func(r engine.Row) error {
		var u Urgent
		var message int64
		err := r.Scan(&u.ID, &u.Program, &message)
		u.Message = uint64(message)
		list = append(list, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: more urgent: %w", err)
	}
	return list, nil
}
