package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	defaultLease = 20 * time.Second
	readers      = 4 // connections for reading beside the one for writing
)

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	id     string // made with the file
	lease  time.Duration
	clock  func() time.Time
	log    *slog.Logger
	reader *pool
	writer *writer

	// gate keeps the door to ops: senders hold it for reading, Close for writing.
	gate   sync.RWMutex
	closed bool
	ops    chan *op
	syncs  chan *op      // done, to be answered once they are on the disk
	done   chan struct{} // closed when writer and syncer have ended

	failure failure
	closing atomic.Bool // tells the writer to leave what may wait

	observe func(op string, d time.Duration, err error)
	webhook string
	base    string        // of result URLs
	look    time.Duration // maxLook, but for tests

	maxScheduled int64 // the constant, but for tests

	listeners listeners
	foreign   foreign
	beats     beats
	steps     steps
}

// Open opens the ledger and brings its schema up to date; ErrNewer where a
// newer version of the program has changed it. The caller closes it.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	path, ok := strings.CutPrefix(c.DSN, "sqlite:")
	if !ok || path == "" {
		return nil, fmt.Errorf("ledger: open %q: want sqlite:PATH", c.DSN)
	}
	l := newLedger(c)
	if err := l.open(ctx, path); err != nil {
		return nil, fmt.Errorf("ledger: open %s: %w", path, err)
	}
	l.start()
	return l, nil
}

// start starts the goroutines that Close ends.
func (l *Ledger) start() {
	go l.write()
	go l.sync()
}

func newLedger(c Config) *Ledger {
	l := &Ledger{lease: c.Lease, clock: c.Now, log: c.Logger, ops: make(chan *op, maxBatch), syncs: make(chan *op, 4*maxBatch), done: make(chan struct{})}
	l.failure.failed = make(chan struct{})
	l.maxScheduled = maxScheduled
	l.look, l.foreign.every, l.foreign.ask = maxLook, foreignEvery, make(chan chan int64)
	l.observe, l.webhook, l.base = c.Observe, engine.Clean(c.Webhook, engine.MaxURL), strings.TrimRight(c.BaseURL, "/")
	l.steps.held, l.steps.check = map[stepsKey]heldSteps{}, stepsCheck
	l.beats.seen = map[string]sighting{}
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

func (l *Ledger) open(ctx context.Context, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	// SQLite gives its side files the mode of this one; documents are not for everybody.
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// SQLite's side files stand beside the file itself, not beside a link to it.
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return err
	}
	if err := patiently(ctx, func() error { return l.connect(ctx, abs) }); err != nil {
		return err
	}
	err = l.readID(ctx)
	if err == nil {
		_, err = l.dead(ctx) // the first look at the heartbeats
	}
	if err != nil {
		return errors.Join(err, l.reader.close(), l.writer.close())
	}
	return nil
}

func (l *Ledger) connect(ctx context.Context, path string) (err error) {
	if l.writer, err = openWriter(ctx, path); err != nil {
		return err
	}
	if l.reader, err = openPool(ctx, path); err != nil {
		return errors.Join(err, l.writer.close())
	}
	return nil
}

// patiently tries again while other processes that open or close the file lock
// it in ways for which SQLite's own busy timeout does not wait.
func patiently(ctx context.Context, try func() error) error {
	for deadline := time.Now().Add(busyLimit); ; {
		err := try()
		if err == nil || !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(rand.N(20 * time.Millisecond)):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// dsn is what the driver wants to hear.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// Close answers what has been asked for already and closes the ledger.
func (l *Ledger) Close() error {
	l.gate.Lock()
	if l.closed {
		l.gate.Unlock()
		return nil
	}
	l.closed = true
	l.closing.Store(true)
	close(l.ops)
	l.gate.Unlock()
	<-l.done
	l.foreign.wg.Wait()
	if err := errors.Join(l.reader.close(), l.writer.close()); err != nil {
		return fmt.Errorf("ledger: close: %w", err)
	}
	return nil
}

// now is the clock as the ledger keeps it.
func (l *Ledger) now() time.Time { return l.clock().UTC().Truncate(time.Microsecond) }

// pool is the connections for reading, with their statements.
type pool struct {
	db    *sql.DB
	mu    sync.RWMutex
	stmts []*sql.Stmt // by query number
}

func openPool(ctx context.Context, path string) (*pool, error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "query_only(1)", "cache_size(-1024)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &pool{db: db, stmts: make([]*sql.Stmt, len(engine.Queries))}, nil
}

func (p *pool) close() error { return p.db.Close() }

// known is the prepared statement of q, if there is one yet.
func (p *pool) known(q *engine.Query) *sql.Stmt {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.stmts[q.Number]
}

// stmt returns the prepared statement of q; database/sql prepares it again on
// each connection that meets it. It may wait for a connection, so nobody may
// call it who holds one, and it holds no lock meanwhile.
func (p *pool) stmt(ctx context.Context, q *engine.Query) (*sql.Stmt, error) {
	if s := p.known(q); s != nil {
		return s, nil
	}
	s, err := p.db.PrepareContext(ctx, q.Text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.stmts[q.Number]; first != nil {
		return first, s.Close()
	}
	p.stmts[q.Number] = s
	return s, nil
}

// Each calls scan for every row of q.
func (p *pool) Each(ctx context.Context, q *engine.Query, args []any, scan func(engine.Row) error) error {
	s, err := p.stmt(ctx, q)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// Row scans the first row of q, if there is one.
func (p *pool) Row(ctx context.Context, q *engine.Query, args []any, dest ...any) (bool, error) {
	found := false
	err := p.Each(ctx, q, args, func(r engine.Row) error {
		found = true
		return r.Scan(dest...)
	})
	return found, err
}

func eachRow(rows *sql.Rows, scan func(engine.Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
