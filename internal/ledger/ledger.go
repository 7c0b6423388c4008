// Package ledger is the record of jobs and attempts in SQL. Messages in beanstalkd are
// only hints; the ledger decides. Every change of state is a compare-and-set in a
// transaction.
//
// One goroutine writes. It commits waiting operations together and answers an operation
// after the commit. Several processes may share one SQLite file.
//
// The path of a job: accept.go, claim.go, progress.go, finish.go, dependents.go. Its
// parts are fields of Ledger: Nodes, Queues, Events, Activity, Outbox, Replays, Sessions, Results,
// Logs, Counters, Chunks, Checkpoints, Retention, Pairing, Pool, Dependents and Stuck.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/ledger/changes"
	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
	"github.com/runnerbean/runnerbean/internal/ledger/counters"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/families"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/logs"
	"github.com/runnerbean/runnerbean/internal/ledger/loops"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/ledger/pairing"
	"github.com/runnerbean/runnerbean/internal/ledger/pool"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres"
	"github.com/runnerbean/runnerbean/internal/ledger/queues"
	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/ledger/sessions"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/ledger/stuck"
)

// Config is the configuration of a Ledger.
type Config struct {
	// DSN is "sqlite:PATH", or "postgres://USER@HOST/DATABASE" with what libpq takes.
	// Required.
	DSN string
	// Lease is how long an instance counts as alive after the last observed change of
	// its heartbeat. Default 20 s.
	Lease time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger. Default slog.Default().
	Logger *slog.Logger
	// Upgrade says how Open upgrades the schema while other nodes may use the ledger. Its
	// Lease is by default that of the ledger.
	Upgrade Upgrade
	// Observe is called at the end of each operation with its name, such as claim or
	// list, its duration including the wait, and its error. It must return at once.
	// Default: none.
	Observe func(op string, d time.Duration, err error)
	// Webhook is a URL that is called at the end of every job that ends in this process.
	// Default: only the URLs in documents are called.
	Webhook string
	// BaseURL is the beginning of the result URLs of this node. Results whose URLs are
	// below neither this nor a base URL of another node, present or former, are
	// delivered. Default: nothing is delivered.
	BaseURL string
	// FormerURLs are base URLs that the pool had before this ledger recorded them.
	FormerURLs []string
}

// Upgrade says how Open upgrades the schema of a ledger.
type Upgrade = sqlite.Upgrade

// Upgraded is an upgrade of the schema that Open has done.
type Upgraded = sqlite.Upgraded

// Schema returns the version of the schema that this program knows.
func Schema() int { return sqlite.Schema() }

const (
	defaultLease = 20 * time.Second
	// maxScheduled limits the count of jobs of a program that are not due.
	maxScheduled = 10_000
)

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	Nodes      *nodes.Registry
	Queues     *queues.Queues
	Batches    *batches.Batches
	Families   *families.Families
	Loops      *loops.Loops
	Events     *eventlog.Log
	Activity   *activity.Counters
	Counters   *counters.Counters
	Chunks     *chunks.Chunks
	Outbox     *outbox.Outbox
	Replays    *outbox.Replays
	Sessions   *sessions.Sessions
	Dependents *Dependents
	Stuck      *stuck.Finder
	// Upgraded is what Open has upgraded, or nil.
	Upgraded *Upgraded
	// Server says how the server of a ledger in PostgreSQL is doing; nil for a file.
	Server      func(context.Context) (engine.Server, error)
	Pairing     *pairing.Pairing
	Pool        *pool.Pool
	Results     *results.Results
	Logs        *logs.Logs
	Retention   *retention.Retention
	Checkpoints *checkpoints.Checkpoints
	Packages    *packages.Packages
	FullDisk    engine.FullDisk

	db     engine.Database
	reader engine.Reader
	queue  *writeQueue
	clock  func() time.Time
	log    *slog.Logger

	observe   func(op string, d time.Duration, err error)
	maxSearch time.Duration // tests change it

	maxScheduled int64         // tests change it
	watching     time.Duration // Watch of nodes.Config; tests change it

	listeners changes.Listeners
	external  externalCommits
}

// Open opens the ledger and upgrades its schema: it waits for nodes that use the ledger
// and leave, and makes a copy first. It returns ErrNewer, ErrNodes or ErrUpgrading. The
// caller closes the ledger.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	l := newLedger(c)
	if err := l.open(ctx, c); err != nil {
		return nil, fmt.Errorf("ledger: open %s: %w", Name(c.DSN), err)
	}
	l.queue.start()
	noteUpgrade(ctx, l)
	return l, nil
}

// noteUpgrade records what Open has upgraded.
func noteUpgrade(ctx context.Context, l *Ledger) {
	done := l.Upgraded
	if done == nil {
		return
	}
	text := fmt.Sprintf("the ledger was upgraded from schema %d to %d; the ledger from before is in %s", done.From, done.To, filepath.Base(done.Backup))
	l.log.Info(text, "folder", filepath.Dir(done.Backup))
	if err := l.Events.Note(ctx, eventlog.Event{Kind: eventlog.KindUpgraded, Message: text}); err != nil {
		l.log.Warn("the upgrade of the ledger is not among the events", "err", err)
	}
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

// Name names a ledger for people: without the password of its DSN.
func Name(dsn string) string {
	if path, ok := sqlitePath(dsn); ok {
		return path
	}
	if isPostgres(dsn) {
		return postgres.Name(dsn)
	}
	return "the ledger"
}

// Servers returns the servers of a ledger, host:port; none for a file.
func Servers(dsn string) []string {
	if !isPostgres(dsn) {
		return nil
	}
	return postgres.Servers(dsn)
}

func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

func openDatabase(ctx context.Context, c Config) (engine.Database, *Upgraded, error) {
	path, ok := sqlitePath(c.DSN)
	switch {
	case ok:
		file, err := sqlite.Open(ctx, path, sqlite.Options{Upgrade: c.Upgrade})
		if err != nil {
			return engine.Database{}, nil, err
		}
		return file.Engine(), file.Upgraded, nil
	case isPostgres(c.DSN):
		db, err := postgres.Open(ctx, c.DSN)
		return db, nil, err
	}
	return engine.Database{}, nil, errors.New("want sqlite:PATH or postgres://USER@HOST/DATABASE")
}

func (l *Ledger) open(ctx context.Context, c Config) (err error) {
	lease := cmp.Or(max(c.Lease, 0), defaultLease)
	c.Upgrade.Lease = cmp.Or(c.Upgrade.Lease, lease)
	if l.db, l.Upgraded, err = openDatabase(ctx, c); err != nil {
		return err
	}
	l.reader, l.Server = l.db.Reader, l.db.Server
	a := l.access()
	l.Nodes = nodes.New(a, nodes.Config{Lease: lease, Watch: l.watching, Clock: l.clock, Schema: sqlite.Schema()}, func(t engine.Tx, program string) error { return t.(*txn).programAnnounced(program) })
	l.Events, l.Activity, l.Replays, l.Sessions = eventlog.New(a), activity.New(a), outbox.NewReplays(a), sessions.New(a)
	l.Queues, l.Batches, l.Families, l.Loops = queues.New(a), batches.New(a), families.New(a), loops.New(a)
	l.Counters, l.Chunks = counters.New(a), chunks.New(a)
	l.Dependents, l.Stuck = &Dependents{l.do}, stuck.New(a)
	l.Outbox = outbox.New(a, outbox.Config{Webhook: c.Webhook, BaseURL: c.BaseURL, FormerURLs: c.FormerURLs})
	l.Pairing, l.Pool, l.Results, l.Logs, l.Retention, l.Checkpoints, l.Packages = pairing.New(a), pool.New(a), results.New(a), logs.New(a), retention.New(a), checkpoints.New(a), packages.New(a)
	l.queue = newWriteQueue(&txn{
		w: l.db.Writer, failure: newFailure(l.log), log: l.log, clock: l.now, listeners: &l.listeners,
		activity: l.Activity, outbox: l.Outbox, nodes: l.Nodes, full: &l.FullDisk,
	}, (*txn).updateRemaining)
	l.external.queue, l.external.log = l.queue, l.log
	if _, err = l.Nodes.Dead(ctx); err != nil { // the first look at the heartbeats
		return errors.Join(err, l.db.Close())
	}
	return nil
}

// Close runs the operations that wait and closes the ledger. The last process that
// closes it leaves one complete file.
func (l *Ledger) Close() error {
	if !l.queue.close() {
		return nil
	}
	l.external.wg.Wait()
	closeDB := l.db.Close
	if l.Err() != nil {
		closeDB = l.db.Abandon
	}
	if err := closeDB(); err != nil {
		return fmt.Errorf("ledger: close: %w", err)
	}
	return nil
}

// now returns the time in UTC, in microseconds.
func (l *Ledger) now() time.Time { return l.clock().UTC().Truncate(time.Microsecond) }

// ID returns the id of the ledger: 10 random characters that never change. It
// distinguishes ledgers that use the same beanstalkd.
func (l *Ledger) ID() string { return l.db.ID }

// Peek reads the identity of a ledger that other processes may have open. It changes
// nothing. It returns the zero value if there is no ledger yet; the id is empty if it has none yet.
func Peek(ctx context.Context, dsn string) (seen engine.Peeked, err error) {
	if path, ok := sqlitePath(dsn); ok {
		seen, err = sqlite.Peek(ctx, path)
	} else {
		seen, err = postgres.Peek(ctx, dsn)
	}
	if err != nil {
		return seen, fmt.Errorf("ledger: read %s: %w", Name(dsn), err)
	}
	return seen, nil
}

// Failed returns a channel that is closed when the disk has failed or a newer program has
// upgraded the ledger. The ledger then takes no more writes until it is opened again. Err
// says why.
func (l *Ledger) Failed() <-chan struct{} { return l.queue.failure.failed }

// Err returns an ErrReopen that says why the ledger takes no more writes, or nil.
func (l *Ledger) Err() error { return l.queue.failure.Err() }

// access returns what the parts of the ledger use of it.
func (l *Ledger) access() engine.Access {
	return engine.Access{Reader: l.reader, Now: l.now, Observe: l.watch, Do: func(ctx context.Context, o engine.Op) error {
		return l.do(ctx, &op{name: o.Name, weight: o.Weight, soft: o.Soft, run: func(t *txn) error { return o.Run(t) }})
	}}
}

// watch reports the end of an operation to Config.Observe. It is deferred.
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

// Rollup adds the counters of past minutes to those of longer steps and deletes old
// rows. Call it about once a minute. It does nothing if another process has done it.
func (l *Ledger) Rollup(ctx context.Context) (err error) {
	defer l.watch("rollup", time.Now(), &err)
	for _, do := range []func(context.Context) error{l.Activity.Rollup, l.Activity.Prune, l.Counters.Prune, l.Outbox.Prune, l.Replays.Prune, l.Events.Prune, l.Retention.Prune} {
		if err := do(ctx); err != nil {
			return fmt.Errorf("ledger: rollup: %w", err)
		}
	}
	return nil
}

// OnChange calls f after each commit of this process with the ids of the jobs that it
// changed, before the callers of the operations get their answers. f must return at
// once, must not call the ledger and must not keep ids. remove ends the calls.
func (l *Ledger) OnChange(f func(ids []string)) (remove func()) {
	return l.listeners.Add(f)
}

// OnExternalCommit calls f soon after another process, or another Ledger of this one, has
// committed to the same file. What changed is not known. Several commits in a second cause one
// call. f must return at once and must not call the ledger. remove ends the calls.
func (l *Ledger) OnExternalCommit(f func()) (remove func()) { return l.external.add(f) }
