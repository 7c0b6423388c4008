package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
)

// maxQueues is how many queues are looked at in one call.
const maxQueues = 500

var qSent = engine.NewQuery("UPDATE jobs SET server = ?, message = ? WHERE id = ? AND state = 'queued'")

// MarkSent records that messages were put. It ignores jobs that are not queued
// any more. It is not synced to the disk: a message that is put twice is harmless.
func (l *Ledger) MarkSent(ctx context.Context, sent []Sent) error {
	err := l.do(ctx, &op{name: "mark-sent", weight: len(sent), soft: true, run: func(t *txn) error {
		for _, s := range sent {
			if _, err := t.Exec(qSent, engine.Clean(s.Server, engine.MaxName), int64(s.Message), s.ID); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("ledger: mark sent: %w", err)
	}
	return nil
}

// Placed is a queued job with where its message was put; Server is empty where
// none was. The Record has no Document.
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

// Unsent lists queued jobs, unchanged since before, of which no message was put
// or whose message went to a server instance that is not among servers. Jobs
// that are not due yet are listed too; their messages want a delay. limit is
// shared among the programs, so that none waits for a million jobs of another;
// more says that there are others.
func (l *Ledger) Unsent(ctx context.Context, servers []string, before time.Time, limit int) (list []Placed, more bool, err error) {
	queues, err := l.staleQueues(ctx, servers)
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

// staleQueue are the queued jobs of a program whose messages are on a server
// that is gone, or that have none.
type staleQueue struct{ server, program string }

func (l *Ledger) staleQueues(ctx context.Context, servers []string) (list []staleQueue, err error) {
	queued, err := listing.Servers(ctx, l.reader)
	for _, server := range queued {
		if server != "" && slices.Contains(servers, server) {
			continue
		}
		q := staleQueue{server: server}
		for err == nil && len(list) < maxQueues {
			if q.program, err = l.NextQueue(ctx, server, q.program); q.program == "" {
				break
			}
			list = append(list, q)
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

// NextQueue is the first program after another, by name, that has queued jobs
// whose messages are on a server; "" where there is none.
func (l *Ledger) NextQueue(ctx context.Context, server, after string) (program string, err error) {
	if _, err = l.reader.Row(ctx, qNextQueue, []any{server, after}, &program); err != nil {
		return "", fmt.Errorf("ledger: queue: %w", err)
	}
	return program, nil
}

// Queue lists the queued jobs of a program whose messages are on a server, in
// the order in which they are to start. after is the job before the first one,
// or the zero Placed.
func (l *Ledger) Queue(ctx context.Context, server, program string, after Placed, limit int) (list []Placed, err error) {
	args := []any{server, program, int64(after.Priority), engine.Micros(after.Accepted), after.ID, limit}
	err = l.reader.Each(ctx, qQueue, args, func(rows engine.Row) error {
		p, err := scanPlaced(rows)
		list = append(list, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: queue: %w", err)
	}
	return list, nil
}
