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

const defaultLease = 20 * time.Second

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	Nodes    *nodes.Registry
	Events   *eventlog.Log
	Activity *activity.Counters
	Outbox   *outbox.Outbox
	Replays  *outbox.Replays

	db     *sqlite.DB
	reader engine.Reader
	queue  *writeQueue
	lease  time.Duration
	clock  func() time.Time
	log    *slog.Logger

	observe func(op string, d time.Duration, err error)
	look    time.Duration // listing.MaxLook, but for tests

	maxScheduled int64 // the constant, but for tests

	listeners listeners
	foreign   foreign
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
	l := &Ledger{lease: c.Lease, clock: c.Now, log: c.Logger}
	l.maxScheduled = maxScheduled
	l.look, l.foreign.every = listing.MaxLook, foreignEvery
	l.observe = c.Observe
	if l.lease <= 0 {
		l.lease = defaultLease
	}
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
	l.queue = newWriteQueue(l)
	a := l.access()
	l.Nodes = nodes.New(a, l.lease, l.clock, func(t engine.Tx, program string) error { return t.(*txn).arrived(program) })
	l.Events, l.Activity, l.Replays = eventlog.New(a), activity.New(a), outbox.NewReplays(a)
	l.Outbox = outbox.New(a, c.Webhook, c.BaseURL)
	if _, err = l.Nodes.Dead(ctx, l.runners); err != nil { // the first look at the heartbeats
		return errors.Join(err, l.db.Close())
	}
	return nil
}

// Close answers what has been asked for already and closes the ledger.
func (l *Ledger) Close() error {
	if !l.queue.close() {
		return nil
	}
	l.foreign.wg.Wait()
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
