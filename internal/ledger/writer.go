package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"modernc.org/sqlite"
)

const (
	maxBatch  = 256              // operations in one transaction
	maxWeight = 2048             // jobs that they may change together, about
	busyLimit = 10 * time.Second // waiting for another process that writes

	sqliteBusy = 5
)

// writer is the one connection that writes. Only the goroutine of
// Ledger.write uses it.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts []*sql.Stmt // by query number
	turn  *turn
	// patience is how long begin waits for other processes that write.
	patience time.Duration

	statements int // since it was looked how long the log is

	wal *os.File // the write-ahead log
	// sync makes all that was committed survive a power cut.
	sync func(wal *os.File) error
}

var (
	qBegin      = engine.NewQuery("BEGIN IMMEDIATE")
	qCommit     = engine.NewQuery("COMMIT")
	qRollback   = engine.NewQuery("ROLLBACK")
	backgroundC = context.Background()
)

// openWriter connects and migrates.
func openWriter(ctx context.Context, path string) (*writer, error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)",
		"foreign_keys(1)", "wal_autocheckpoint(0)", "journal_size_limit(67108864)", "cache_size(-4096)", "temp_store(MEMORY)"))
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, stmts: make([]*sql.Stmt, len(engine.Queries)), sync: datasync, patience: busyLimit}
	if err := w.connect(ctx, path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return w, nil
}

func (w *writer) connect(ctx context.Context, path string) (err error) {
	w.db.SetMaxOpenConns(1)
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, w.conn); err != nil {
		return err
	}
	// What an earlier life has left in the log goes into the file, and is synced
	// there: after a sync that failed nothing may stand on the log's pages.
	if _, _, err := w.walk(qCheckpoint); err != nil {
		return err
	}
	// From here on waiting is done by begin, which is quicker to notice.
	if _, err := w.conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	// The log is there since migrate, and stays while a connection is open.
	if w.wal, err = os.OpenFile(path+"-wal", os.O_RDWR, 0); err != nil {
		return err
	}
	if w.turn, err = openTurn(path + "-turn"); err != nil {
		err = errors.Join(err, w.wal.Close())
	}
	return err
}

func (w *writer) close() error {
	return errors.Join(w.turn.close(), w.wal.Close(), w.conn.Close(), w.db.Close())
}

func (w *writer) stmt(q *engine.Query) (*sql.Stmt, error) {
	if s := w.stmts[q.Number]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(backgroundC, q.Text)
	if err != nil {
		return nil, err
	}
	w.stmts[q.Number] = s
	return s, nil
}

func (w *writer) exec(q *engine.Query, args ...any) (sql.Result, error) {
	w.statements++
	s, err := w.stmt(q)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(backgroundC, args...)
}

// begin starts a transaction when no other process writes. The turn makes
// processes alternate: who has just written queues behind who waits.
func (w *writer) begin() error {
	deadline := time.Now().Add(w.patience)
	w.turn.take(deadline)
	defer w.turn.give()
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 4*time.Millisecond) {
		_, err := w.exec(qBegin)
		if err == nil || !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause/2 + rand.N(pause))
	}
}

// rollback gives up a transaction. SQLite may have done so by itself.
func (w *writer) rollback() {
	_, _ = w.exec(qRollback)
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqliteBusy
}

// op is one operation on its way through the writer. run may be called again
// after a rollback and then starts from nothing.
type op struct {
	name   string // for Config.Observe
	run    func(*txn) error
	soft   bool
	weight int
	state  stage
	early  bool // is answered before it is on the disk, where it is brought at once
	hard   bool // wrote something that must be on the disk
	err    error
	done   chan struct{}
}

// do hands an operation to the writer and waits for the commit that holds it.
// A ctx that ends before the operation was begun takes it out.
func (l *Ledger) do(ctx context.Context, o *op) (err error) {
	defer l.watch(o.name, time.Now(), &err)
	if err := ctx.Err(); err != nil {
		return err
	}
	o.done = make(chan struct{})
	if err := l.send(ctx, o); err != nil {
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

func (l *Ledger) send(ctx context.Context, o *op) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return ErrClosed
	}
	select {
	case l.ops <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the writer's goroutine: it takes all that waits and commits it
// together.
func (l *Ledger) write() {
	defer close(l.syncs)
	batch := make([]*op, 0, maxBatch)
	t := &txn{l: l, w: l.writer}
	unsettled := true // a crash may have left some
	for {
		first, ok := l.next()
		if !ok {
			return
		}
		l.letOthersCome()
		batch = l.collect(append(batch[:0], first))
		unsettled = l.runBatch(t, batch) || unsettled
		l.checkpoint()
		for unsettled {
			unsettled = l.settleRest(t)
			if len(l.ops) > 0 || l.closing.Load() {
				break
			}
		}
	}
}

// next waits for an operation; meanwhile it answers who asks for the version of
// the file. ok is false when the ledger is closed.
func (l *Ledger) next() (o *op, ok bool) {
	for {
		select {
		case o, ok = <-l.ops:
			return o, ok
		case answer := <-l.foreign.ask:
			answer <- l.writer.version()
		}
	}
}

// letOthersCome runs the goroutines that can run, as long as they bring more
// operations: who was just answered often asks for the next thing at once. It
// halves the processor time of a job at eight slots.
func (l *Ledger) letOthersCome() {
	for n := -1; len(l.ops) > n; {
		n = len(l.ops)
		runtime.Gosched()
	}
}

// collect adds to a batch what waits already.
func (l *Ledger) collect(batch []*op) []*op {
	weight := batch[0].weight
	for len(batch) < maxBatch && weight < maxWeight {
		select {
		case o, ok := <-l.ops:
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
func (l *Ledger) runBatch(t *txn, batch []*op) (unsettled bool) {
	if err := t.run(batch); errors.Is(err, errAlone) {
		// One of them failed after it had written: each gets a transaction of
		// its own, so that it fails alone.
		for i := range batch {
			_ = t.run(batch[i : i+1])
			unsettled = unsettled || t.unsettled
		}
	}
	l.answer(batch)
	return unsettled || t.unsettled
}

// errAlone says that a batch has to be taken apart.
var errAlone = errors.New("operations have to run alone")

// run is one transaction over ops. It sets the err of each, or returns
// errAlone with nothing done.
func (t *txn) run(ops []*op) error {
	t.reset()
	if err := t.l.Err(); err != nil {
		return failAll(ops, err)
	}
	if err := t.w.begin(); err != nil {
		return failAll(ops, fmt.Errorf("begin: %w", err))
	}
	for _, o := range ops {
		if !o.state.start() {
			continue // its caller has gone
		}
		o.err = t.operate(o)
		if o.err != nil && (t.wrote || t.broken) {
			t.w.rollback()
			if len(ops) > 1 {
				return errAlone
			}
			return o.err
		}
	}
	if err := t.commit(); err != nil {
		t.w.rollback()
		switch {
		case panicked(t.l, "commit", err) && len(ops) > 1:
			return errAlone
		case isLostWrite(err):
			err = t.l.fail("commit", err)
		}
		return failAll(ops, fmt.Errorf("commit: %w", err))
	}
	t.l.lateEnd(t.all.tallies)
	t.l.listeners.tell(t.l.log, t.all.changed)
	return nil
}

func failAll(ops []*op, err error) error {
	for _, o := range ops {
		o.err = err
	}
	return err
}
