package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/logs"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
)

// leftFor is how long the ledger has the log of an attempt that has ended before this node
// stores it: the node that has run the attempt stores more of it, if it lives.
const leftFor = time.Minute

// leftLogs moves logs from the ledger to the store whose nodes have died.
type leftLogs struct {
	ledger *logs.Logs
	store  *store.Store
	since  map[logs.Attempt]time.Time // when they were first seen
}

// move moves the logs that are left for leftFor.
func (l *leftLogs) move(ctx context.Context) error {
	list, err := l.ledger.Left(ctx)
	if err != nil {
		return err
	}
	seen := l.since
	l.since = map[logs.Attempt]time.Time{}
	for _, a := range list {
		since, known := seen[a]
		if !known {
			since = time.Now()
		}
		l.since[a] = since
		if time.Since(since) < leftFor {
			continue
		}
		if failed := l.moveOne(ctx, a); failed != nil {
			err = cmp.Or(err, fmt.Errorf("the log of job %s: %w", a.Job, failed)) // the first one is enough
		}
	}
	return err
}

// moveOne stores the log of an attempt, unless the store has it.
func (l *leftLogs) moveOne(ctx context.Context, a logs.Attempt) error {
	if !a.Gone {
		log, found, err := l.ledger.Read(ctx, a.Job, a.Number, 0)
		if err != nil || !found {
			return err
		}
		err = l.store.Create(ctx, store.LogKey(a.Job, a.Number), logtext.Join(log.Chunks))
		if err != nil && !errors.Is(err, store.ErrExists) {
			return err
		}
	}
	return l.ledger.Delete(ctx, a.Job, a.Number)
}
