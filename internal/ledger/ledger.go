// Package ledger is the record of jobs, attempts, nodes and events in SQL.
// beanstalkd only carries hints; what the ledger says is so. Every change of
// state is a compare-and-set inside a transaction.
//
// All writing goes through one goroutine, which commits what waits together;
// an operation is answered after the commit that holds it. Several processes
// may share one SQLite file; they take turns.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// Config opens a ledger.
type Config struct {
	// DSN is "sqlite:PATH". Required.
	DSN string
	// Lease is for how long an instance counts as alive after its heartbeat was
	// last seen to change. Default 20 s.
	Lease time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger. Default slog.Default().
	Logger *slog.Logger
	// Observe is called at the end of each operation with its name, such as
	// claim or list, how long it took with its wait, and its error. Default nil:
	// nobody is told. It must return at once.
	Observe func(op string, d time.Duration, err error)
	// Webhook is a URL that is told of the end of every job that comes to its end
	// in this process. Default "": only those that documents name.
	Webhook string
	// BaseURL is what result URLs begin with that need no delivery because this
	// node serves them. Default "": nothing is delivered.
	BaseURL string
}

const (
	defaultLease = 20 * time.Second
	// maxScheduled bounds how many jobs of a program are counted that are not due.
	maxScheduled = 10_000
)

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	Nodes    *nodes.Registry
	Events   *eventlog.Log
	Activity *activity.Counters
	Outbox   *outbox.Outbox
	Replays  *outbox.Replays
	Sessions *Sessions

	db     *sqlite.DB
	reader engine.Reader
	queue  *writeQueue
	clock  func() time.Time
	log    *slog.Logger

	observe   func(op string, d time.Duration, err error)
	maxSearch time.Duration // listing.MaxLook, but for tests

	maxScheduled int64 // the constant, but for tests

	listeners listeners
	external  externalCommits
}

// Open opens the ledger and brings its schema up to date; sqlite.ErrNewer where a
// newer version of the program has changed it. The caller closes it.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	path, ok := sqlitePath(c.DSN)
	if !ok {
		return nil, fmt.Errorf("ledger: open %q: want sqlite:PATH", c.DSN)
	}
	l := newLedger(c)
	if err := l.open(ctx, path, c); err != nil {
		return nil, fmt.Errorf("ledger: open %s: %w", path, err)
	}
	l.queue.start()
	return l, nil
}

func sqlitePath(dsn string) (path string, ok bool) {
	path, ok = strings.CutPrefix(dsn, "sqlite:")
	return path, ok && path != ""
}

func newLedger(c Config) *Ledger {
	l := &Ledger{clock: c.Now, log: c.Logger, observe: c.Observe, maxSearch: listing.MaxLook, maxScheduled: maxScheduled}
	l.external.every = externalEvery
	if l.clock == nil {
		l.clock = time.Now
	}
	if l.log == nil {
		l.log = slog.Default()
	}
	return l
}

func (l *Ledger) open(ctx context.Context, path string, c Config) (err error) {
	if l.db, err = sqlite.Open(ctx, path); err != nil {
		return err
	}
	l.reader = l.db.Reader
	a := l.access()
	lease := c.Lease
	if lease <= 0 {
		lease = defaultLease
	}
	l.Nodes = nodes.New(a, lease, l.clock, func(t engine.Tx, program string) error { return t.(*txn).programAnnounced(program) })
	l.Events, l.Activity, l.Replays, l.Sessions = eventlog.New(a), activity.New(a), outbox.NewReplays(a), &Sessions{a}
	l.Outbox = outbox.New(a, c.Webhook, c.BaseURL)
	l.queue = newWriteQueue(&txn{
		w: l.db.Writer, failure: newFailure(l.log), log: l.log, clock: l.now, listeners: &l.listeners,
		activity: l.Activity, outbox: l.Outbox, nodes: l.Nodes,
	}, (*txn).updateRemaining)
	l.external.queue, l.external.log = l.queue, l.log
	if _, err = l.Nodes.Dead(ctx); err != nil { // the first look at the heartbeats
		return errors.Join(err, l.db.Close())
	}
	return nil
}

// Close answers what has been asked for already and closes the ledger.
func (l *Ledger) Close() error {
	if !l.queue.close() {
		return nil
	}
	l.external.wg.Wait()
	if err := l.db.Close(); err != nil {
		return fmt.Errorf("ledger: close: %w", err)
	}
	return nil
}

// now is the clock as the ledger keeps it.
func (l *Ledger) now() time.Time { return l.clock().UTC().Truncate(time.Microsecond) }

// ID tells this ledger from all others that use the same beanstalkd: 10
// characters, made at random with the ledger, which never change.
func (l *Ledger) ID() string { return l.db.ID }

// ReadID reads the id of a ledger that others may have open, and changes
// nothing. It is empty where there is no ledger yet, or one that has no id yet.
func ReadID(ctx context.Context, dsn string) (string, error) {
	path, _ := sqlitePath(dsn)
	id, err := sqlite.ReadID(ctx, path)
	if err != nil {
		return "", fmt.Errorf("ledger: read the id of %s: %w", path, err)
	}
	return id, nil
}

// Failed is closed when the disk has failed the ledger, which then takes nothing
// more until it is opened again. Err says why.
func (l *Ledger) Failed() <-chan struct{} { return l.queue.failure.failed }

// Err is an ErrReopen that says why the ledger takes nothing more; nil while it
// does.
func (l *Ledger) Err() error { return l.queue.failure.Err() }

// access is what the parts of the ledger get of it.
func (l *Ledger) access() engine.Access {
	return engine.Access{Reader: l.reader, Now: l.now, Observe: l.watch, Do: func(ctx context.Context, o engine.Op) error {
		return l.do(ctx, &op{name: o.Name, weight: o.Weight, soft: o.Soft, run: func(t *txn) error { return o.Run(t) }})
	}}
}

// watch reports an operation that ends to Config.Observe; it is deferred.
func (l *Ledger) watch(op string, began time.Time, err *error) {
	if l.observe != nil {
		l.observe(op, time.Since(began), *err)
	}
}

// do runs an operation and returns after the commit that holds it.
func (l *Ledger) do(ctx context.Context, o *op) (err error) {
	defer l.watch(o.name, time.Now(), &err)
	return l.queue.do(ctx, o)
}

// Rollup adds the counters of minutes that are over to those of longer steps, and
// deletes what is too old. It is to be called about once a minute; it does nothing
// where another process has done it, and a clock that jumps costs nothing.
func (l *Ledger) Rollup(ctx context.Context) (err error) {
	defer l.watch("rollup", time.Now(), &err)
	for _, do := range []func(context.Context) error{l.Activity.Rollup, l.Activity.Prune, l.Outbox.Prune, l.Replays.Prune} {
		if err := do(ctx); err != nil {
			return fmt.Errorf("ledger: rollup: %w", err)
		}
	}
	return nil
}

// OnChange calls f after each commit of this process with the ids of the jobs
// that it changed, before the callers of the operations are answered. f must
// return at once, must not call the ledger and must not keep ids. remove ends it.
func (l *Ledger) OnChange(f func(ids []string)) (remove func()) {
	return l.listeners.add(f)
}

// OnExternalCommit calls f soon after another process, or another Ledger of this one,
// has committed to the same file; what it changed is not known. Several commits
// in a second are told once. f must return at once and must not call
// the ledger. remove ends it.
func (l *Ledger) OnExternalCommit(f func()) (remove func()) { return l.external.add(f) }
