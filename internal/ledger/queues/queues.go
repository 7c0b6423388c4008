// Package queues reads which programs have jobs that are due, so that programs can take
// turns.
package queues

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
)

// maxPrograms is the largest number of programs that one call reads from a server.
const maxPrograms = 500

// Queues reads the queues of programs. [ledger.Ledger] has it.
type Queues struct{ ledger engine.Access }

// New returns the Queues of a ledger.
func New(a engine.Access) *Queues { return &Queues{a} }

// Head is a program with jobs that are due.
type Head struct {
	Program string
	// Priority is that of its most urgent queued job, which may not be due yet.
	Priority uint32
}

var (
	qHead = engine.NewQuery(`SELECT program, priority FROM jobs WHERE state = 'queued' AND server = ? AND program > ?
		ORDER BY program, priority LIMIT 1`)
	qOldest   = engine.NewQuery("SELECT due FROM jobs WHERE state = 'queued' AND program = ? ORDER BY due LIMIT 1")
	qPriority = engine.NewQuery("SELECT priority FROM jobs WHERE id = ?")
	qNextDue  = engine.NewQuery(`SELECT not_before FROM jobs WHERE state = 'queued' AND not_before > 0 AND server = ? AND not_before > ?
		ORDER BY not_before LIMIT 1`)
	qEqual = engine.NewQuery("SELECT 1 FROM jobs WHERE state = 'queued' AND server = ? AND program = ? AND priority = ? LIMIT 1")
)

// Heads returns the programs that have messages on a server and jobs that are due, by name;
// at most 500. It reads two index entries for each of them.
func (q *Queues) Heads(ctx context.Context, server string) (list []Head, err error) {
	defer q.ledger.Observe("heads", time.Now(), &err)
	err = q.each(ctx, server, func(h Head) error {
		list = append(list, h)
		return nil
	})
	return list, engine.Wrap("heads", err)
}

func (q *Queues) each(ctx context.Context, server string, see func(Head) error) error {
	now := engine.Micros(q.ledger.Now())
	var h Head
	for range maxPrograms {
		var priority, due int64
		found, err := q.ledger.Row(ctx, qHead, []any{server, h.Program}, &h.Program, &priority)
		if err != nil || !found {
			return err
		}
		h.Priority = uint32(priority)
		found, err = q.ledger.Row(ctx, qOldest, []any{h.Program}, &due)
		if err == nil && found && due <= now {
			err = see(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Priority returns the priority of a job. It is false for a job that the ledger does not
// hold.
func (q *Queues) Priority(ctx context.Context, id string) (priority uint32, known bool, err error) {
	var p int64
	known, err = q.ledger.Row(ctx, qPriority, []any{id}, &p)
	return uint32(p), known, engine.Wrap("priority", err)
}

// NextDue returns the earliest start of the queued jobs that have one after a time, and that
// have messages on a server. It is zero if there is none.
func (q *Queues) NextDue(ctx context.Context, server string, after time.Time) (time.Time, error) {
	var due int64
	_, err := q.ledger.Row(ctx, qNextDue, []any{server, engine.Micros(after)}, &due)
	return engine.FromMicros(due), engine.Wrap("next due", err)
}

// Sharing returns the programs that have due jobs and queued jobs of a priority, of which
// each program is there once, in any order.
func (q *Queues) Sharing(ctx context.Context, priority uint32) (list []string, err error) {
	defer q.ledger.Observe("sharing", time.Now(), &err)
	servers, err := listing.Servers(ctx, q.ledger)
	seen := map[string]bool{}
	for _, server := range servers {
		if err != nil {
			break
		}
		err = q.each(ctx, server, func(h Head) error {
			if h.Priority > priority || seen[h.Program] {
				return nil
			}
			var one int
			found, err := q.ledger.Row(ctx, qEqual, []any{server, h.Program, int64(priority)}, &one)
			if found {
				seen[h.Program] = true
				list = append(list, h.Program)
			}
			return err
		})
	}
	return list, engine.Wrap("sharing", err)
}
