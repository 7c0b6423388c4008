package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

const (
	maxBatch  = 256  // operations in one transaction
	maxWeight = 2048 // jobs that they may change together, about
)

// writeQueue takes operations to the one goroutine that writes. It commits what
// waits together, and answers each operation after the commit that holds it.
type writeQueue struct {
	w       *sqlite.Writer
	tx      *txn
	log     *slog.Logger
	failure *failure
	// rest goes on with what was too much for one transaction, and returns whether
	// some may be left.
	rest func(*txn) (more bool)

	// sending keeps the door to ops: senders hold it for reading, close for writing.
	sending  sync.RWMutex
	closed   bool
	ops      chan *op
	syncs    chan *op        // done, to be answered once they are on the disk
	versions chan chan int64 // asks for the version of the file
	done     chan struct{}   // closed when writer and syncer have ended
	closing  atomic.Bool     // tells the writer to leave what may wait
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

// close answers what has been asked for already. It returns false where the queue
// was closed before.
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

// do hands an operation to the writer and waits for the commit that holds it.
// A ctx that ends before the operation was begun takes it out.
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

// write is the writer's goroutine: it takes all that waits and commits it
// together.
func (q *writeQueue) write() {
	defer close(q.syncs)
	batch := make([]*op, 0, maxBatch)
	t := q.tx
	unsettled := true // a crash may have left some
	for {
		first, ok := q.next()
		if !ok {
			return
		}
		q.yieldToSenders()
		batch = q.collect(append(batch[:0], first))
		unsettled = q.runBatch(t, batch) || unsettled
		q.checkpoint()
		for unsettled {
			unsettled = q.rest(t)
			if len(q.ops) > 0 || q.closing.Load() {
				break
			}
		}
	}
}

// next waits for an operation; meanwhile it answers who asks for the version of
// the file. ok is false when the ledger is closed.
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

// yieldToSenders runs the goroutines that can run, as long as they bring more
// operations: who was just answered often asks for the next thing at once. It
// halves the processor time of a job at eight slots.
func (q *writeQueue) yieldToSenders() {
	for n := -1; len(q.ops) > n; {
		n = len(q.ops)
		runtime.Gosched()
	}
}

// collect adds to a batch what waits already.
func (q *writeQueue) collect(batch []*op) []*op {
	weight := batch[0].weight
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

// runBatch runs operations and answers them. It returns whether dependents are
// left to settle.
func (q *writeQueue) runBatch(t *txn, batch []*op) (unsettled bool) {
	if err := t.run(batch); errors.Is(err, errAlone) {
		// One of them failed after it had written: each gets a transaction of
		// its own, so that it fails alone.
		for i := range batch {
			_ = t.run(batch[i : i+1])
			unsettled = unsettled || t.remaining
		}
	}
	q.answer(batch)
	return unsettled || t.remaining
}

// answer tells the callers of soft operations that they are committed, which
// outlives the death of the process. The others wait for the disk as well,
// while the writer goes on: also those that wrote nothing, for what they have
// seen may not be on the disk yet.
func (q *writeQueue) answer(batch []*op) {
	for _, o := range batch {
		switch {
		case o.soft:
			close(o.done)
		case o.early:
			close(o.done)
			q.syncs <- &op{hard: o.hard, done: make(chan struct{})}
		default:
			q.syncs <- o
		}
	}
}

// sync is the syncer's goroutine: one sync is for all that was committed
// before it began, so that what survives a power cut is what was answered.
// SQLite would sync within COMMIT at synchronous=FULL, but by fsync, which
// writes the file's times as well and costs three times the processor time of
// fdatasync, and with the writer waiting.
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
	err := q.failure.Err() // a sync that succeeds after one that failed proves nothing
	for _, o := range batch {
		if o.hard && o.err == nil && err == nil {
			if err = q.w.Sync(); err != nil {
				err = q.failure.fail("sync", err)
			}
			break
		}
	}
	for _, o := range batch {
		if err != nil && o.err == nil {
			o.err = fmt.Errorf("sync: %w", err)
		}
		close(o.done)
	}
}

// checkpoint brings the log into the file where it has become long.
func (q *writeQueue) checkpoint() {
	if q.failure.Err() != nil {
		return
	}
	err := q.w.Checkpoint()
	switch {
	case sqlite.IsLostWrite(err):
		_ = q.failure.fail("checkpoint", err)
	case err != nil && !sqlite.IsBusy(err):
		q.log.Warn("the ledger's log is not brought into its file yet", "err", err)
	}
}
