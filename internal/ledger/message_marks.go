package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// Sent is a job with the message that was put on its run tube.
type Sent struct {
	ID      string // job
	Server  string // id of the instance of the beanstalkd server, from its stats
	Message uint64 // id of the message there
}

// maxQueues is the largest number of queues that one call reads.
const maxQueues = 500

var qSent = engine.NewQuery("UPDATE jobs SET server = ?, message = ? WHERE id = ? AND state = 'queued'")

// MarkSent records that messages were put. It ignores jobs that are not queued any more.
// The change is not synced to the disk, because a second message does no harm.
func (l *Ledger) MarkSent(ctx context.Context, sent []Sent) error {
	err := l.do(ctx, &op{name: "mark-sent", weight: len(sent), soft: true, run: func(t *txn) error {
		for _, s := range sent {
			if err := t.Queue(qSent, engine.Clean(s.Server, engine.MaxName), int64(s.Message), s.ID); err != nil {
				return err
			}
		}
		return nil
	}})
	return engine.Wrap("mark sent", err)
}

// Placed is a queued job with the place of its message. Server is empty if it has none.
// The Record has no Document.
type Placed struct {
	Record
	Server  string
	Message uint64
}

const placedColumns = recordColumns + ", server, message"

var (
	qUnsent = engine.NewQuery("SELECT " + placedColumns + ` FROM jobs
		WHERE state = 'queued' AND server = ? AND program = ? AND updated < ? ORDER BY priority, accepted, id LIMIT ?`)
	qNextQueue = engine.NewQuery(`SELECT program FROM jobs WHERE state = 'queued' AND server = ? AND program > ?
		ORDER BY program LIMIT 1`)
	qQueue = engine.NewQuery("SELECT " + placedColumns + ` FROM jobs WHERE state = 'queued' AND server = ? AND program = ?
		AND (priority, accepted, id) > (?, ?, ?) ORDER BY priority, accepted, id LIMIT ?`)
)

// Unsent returns queued jobs, unchanged since before, that have no message or whose
// message is on a server instance that is not among servers. Jobs that are not due are
// included; their messages need a delay. The programs share limit, so that a long queue
// does not hold up the others. more is true if there are more such jobs.
func (l *Ledger) Unsent(ctx context.Context, servers []string, before time.Time, limit int) (list []Placed, more bool, err error) {
	queues, err := staleQueues(ctx, l.reader, servers)
	if err != nil {
		return nil, false, fmt.Errorf("ledger: unsent: %w", err)
	}
	for i, q := range queues {
		if len(list) >= limit {
			return list, true, nil
		}
		share := max(1, (limit-len(list))/(len(queues)-i))
		n := len(list)
		err := l.reader.Each(ctx, qUnsent, []any{q.server, q.program, engine.Micros(before), share}, func(rows engine.Row) error {
			p, err := scanPlaced(rows)
			list = append(list, p)
			return err
		})
		if err != nil {
			return nil, false, fmt.Errorf("ledger: unsent: %w", err)
		}
		more = more || len(list)-n == share
	}
	return list, more, nil
}

// staleQueue is the queued jobs of a program that have no message or whose server is
// gone.
type staleQueue struct{ server, program string }

func staleQueues(ctx context.Context, r engine.Reader, servers []string) (list []staleQueue, err error) {
	queued, err := listing.Servers(ctx, r)
	for _, server := range queued {
		if server != "" && slices.Contains(servers, server) {
			continue
		}
		q := staleQueue{server: server}
		for err == nil && len(list) < maxQueues {
			if q.program, err = nextQueue(ctx, r, server, q.program); q.program == "" {
				break
			}
			if q.program != jobs.BatchProgram { // nodes take batches from the ledger
				list = append(list, q)
			}
		}
	}
	return list, err
}

// scanPlaced reads a row of placedColumns.
func scanPlaced(rows engine.Row) (p Placed, err error) {
	var row recordRow
	var message int64
	if err := rows.Scan(append(row.dest(), &p.Server, &message)...); err != nil {
		return p, err
	}
	p.Message = uint64(message)
	p.Record, err = row.record()
	return p, err
}

// NextQueue returns the first program after another, by name, that has queued jobs whose
// messages are on a server. It returns "" at the end.
func (l *Ledger) NextQueue(ctx context.Context, server, after string) (program string, err error) {
	if program, err = nextQueue(ctx, l.reader, server, after); err != nil {
		return "", fmt.Errorf("ledger: queue: %w", err)
	}
	return program, nil
}

func nextQueue(ctx context.Context, r engine.Reader, server, after string) (program string, err error) {
	_, err = r.Row(ctx, qNextQueue, []any{server, after}, &program)
	return program, err
}

// Queue returns the queued jobs of a program whose messages are on a server, in the order in
// which they are to start. after is the job before the first one, or the zero Placed.
func (l *Ledger) Queue(ctx context.Context, server, program string, after Placed, limit int) (list []Placed, err error) {
	args := []any{server, program, int64(after.Priority), engine.Micros(after.Accepted), after.ID, limit}
	err = l.reader.Each(ctx, qQueue, args, func(rows engine.Row) error {
		p, err := scanPlaced(rows)
		list = append(list, p)
		return err
	})
	return list, engine.Wrap("queue", err)
}

const (
	// justDue is how late a message may be after the start of its job.
	justDue = time.Minute
	// maxJustDue is how many such jobs one call reads. maxUrgent is how many it returns.
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

// MoreUrgent returns jobs that became due in the last minute, have messages on a server
// and are more urgent than a job, the most urgent first. It leaves out jobs in
// quarantine, because a busy node does not run them. Their messages may come after those
// of less urgent jobs, because beanstalkd counts delays in whole seconds from each put.
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
	return list, engine.Wrap("more urgent", err)
}
