package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	maxBatch  = 256  // operations in one transaction
	maxWeight = 2048 // jobs that they may change together, about
)

// writeQueue hands operations to the goroutine that writes. The goroutine commits
// waiting operations together and answers each after the commit.
type writeQueue struct {
	w       engine.Writer
	tx      *txn
	log     *slog.Logger
	failure *failure
	// rest continues work that was too much for one transaction. It returns whether some
	// may be left.
	rest func(*txn) (more bool)

	// sending protects ops: senders hold it for reading, close for writing.
	sending  sync.RWMutex
	closed   bool
	ops      chan *op
	syncs    chan *op        // committed, to be answered after the next sync
	versions chan chan int64 // asks for the version of the file
	done     chan struct{}   // closed when writer and syncer have ended
	closing  atomic.Bool     // the writer leaves the rest for later

	commits atomic.Int64 // batches
	synced  int64        // batches that are on the disk; used by sync
}

func newWriteQueue(t *txn, rest func(*txn) bool) *writeQueue {
	return &writeQueue{
		w: t.w, tx: t, log: t.log, failure: t.failure, rest: rest,
		ops: make(chan *op, maxBatch), syncs: make(chan *op, 4*maxBatch), versions: make(chan chan int64), done: make(chan struct{}),
	}
}

// start starts the goroutines that close ends.
func (q *writeQueue) start() {
	go q.write()
	go q.sync()
}

// close runs the operations that wait. It returns false if the queue was closed before.
func (q *writeQueue) close() bool {
	q.sending.Lock()
	if q.closed {
		q.sending.Unlock()
		return false
	}
	q.closed = true
	q.closing.Store(true)
	close(q.ops)
	q.sending.Unlock()
	<-q.done
	return true
}

// do runs an operation and returns after the commit. If ctx ends before the operation
// has begun, the operation is dropped.
func (q *writeQueue) do(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.done = make(chan struct{})
	if err := q.send(ctx, o); err != nil {
		return err
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
	}
	if o.state.abandon() {
		return ctx.Err()
	}
	<-o.done
	return o.err
}

func (q *writeQueue) send(ctx context.Context, o *op) error {
	q.sending.RLock()
	defer q.sending.RUnlock()
	if q.closed {
		return ErrClosed
	}
	select {
	case q.ops <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the goroutine that writes. It commits everything that waits together.
func (q *writeQueue) write() {
	defer close(q.syncs)
	batch := make([]*op, 0, maxBatch)
	t := q.tx
	remaining := true // a crash may have left some
	for {
		first, ok := q.next()
		if !ok {
			return
		}
		q.yieldToSenders()
		batch = q.collect(append(batch[:0], first))
		remaining = q.runBatch(t, batch) || remaining
		q.checkpoint()
		for remaining {
			remaining = q.rest(t)
			if len(q.ops) > 0 || q.closing.Load() {
				break
			}
		}
	}
}

// next waits for an operation. Meanwhile it answers requests for the version of the
// file. ok is false after close.
func (q *writeQueue) next() (o *op, ok bool) {
	for {
		select {
		case o, ok = <-q.ops:
			return o, ok
		case answer := <-q.versions:
			answer <- q.w.Version()
		}
	}
}

// yieldToSenders lets other goroutines run as long as they bring more operations,
// because a caller that was just answered often sends the next operation. This halves
// the processor time of a job with eight slots.
func (q *writeQueue) yieldToSenders() {
	for n := -1; len(q.ops) > n; {
		n = len(q.ops)
		runtime.Gosched()
	}
}

// collect adds waiting operations to a batch.
func (q *writeQueue) collect(batch []*op) []*op {
	weight := 0
	for _, o := range batch {
		weight += o.weight
	}
	for len(batch) < maxBatch && weight < maxWeight {
		select {
		case o, ok := <-q.ops:
			if !ok {
				return batch
			}
			batch = append(batch, o)
			weight += o.weight
		default:
			return batch
		}
	}
	return batch
}

// runBatch runs operations and answers them. It returns whether dependents are left to
// update.
func (q *writeQueue) runBatch(t *txn, batch []*op) (remaining bool) {
	// Others may have written for a while: what has come meanwhile shares the transaction.
	batch, err := t.run(batch, q.collect)
	if errors.Is(err, errAlone) {
		// One of them failed after it had written. Each gets its own transaction, so
		// that it fails alone.
		for i := range batch {
			_, _ = t.run(batch[i:i+1], nil)
			remaining = remaining || t.remaining
		}
	}
	q.answer(batch)
	return remaining || t.remaining
}

// answer answers soft operations after the commit, which survives the death of the
// process. The others also wait for the sync while the writer goes on. That includes
// operations that wrote nothing, because what they read may not be on the disk yet.
func (q *writeQueue) answer(batch []*op) {
	commit := q.commits.Add(1)
	for _, o := range batch {
		o.commit = commit
		switch {
		case o.soft:
			close(o.done)
		case o.early:
			o.later = &op{hard: o.hard, commit: commit, done: make(chan struct{})}
			close(o.done)
			q.syncs <- o.later
		default:
			q.syncs <- o
		}
	}
}

// sync is the goroutine that syncs. One sync serves everything that was committed before
// it began. A power cut thus loses nothing that was answered. SQLite would sync in
// COMMIT with synchronous=FULL, but the writer would wait, and its fsync also writes the
// times of the file and costs three times the processor time of fdatasync.
func (q *writeQueue) sync() {
	defer close(q.done)
	batch := make([]*op, 0, cap(q.syncs))
	for first := range q.syncs {
		batch = append(batch[:0], first)
		for len(q.syncs) > 0 && len(batch) < cap(batch) {
			batch = append(batch, <-q.syncs)
		}
		q.syncBatch(batch)
	}
}

func (q *writeQueue) syncBatch(batch []*op) {
	err := q.failure.Err() // a sync after a failed one proves nothing
	for _, o := range batch {
		if o.hard && o.err == nil && err == nil && o.commit > q.synced {
			err = q.syncLog()
		}
	}
	for _, o := range batch {
		if err != nil && o.err == nil {
			o.err = fmt.Errorf("sync: %w", err)
		}
		close(o.done)
	}
}

// syncLog syncs all that was committed before.
func (q *writeQueue) syncLog() error {
	committed := q.commits.Load()
	if err := q.w.Sync(); err != nil {
		return q.failure.fail("sync", err)
	}
	q.synced = committed
	return nil
}

// checkpoint copies the log to the file if the log is long.
func (q *writeQueue) checkpoint() {
	if q.failure.Err() != nil {
		return
	}
	err := q.w.Checkpoint()
	switch {
	case q.w.Lost(err):
		_ = q.failure.fail("checkpoint", err)
	case err != nil:
		q.log.Warn("the ledger's log is not brought into its file yet", "err", err)
	}
}
