package publish

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// persistTries is how often something is stored before the attempt gives up.
const persistTries = 4

// Store is where results go; *store.Store implements it.
type Store interface {
	Create(ctx context.Context, key string, data []byte) error
	CreateFrom(ctx context.Context, key string, r io.Reader) (int64, error)
	Replace(ctx context.Context, key string, data []byte) error
	Open(ctx context.Context, key string) (*store.Object, error)
	Delete(ctx context.Context, key string) error
}

// Ledger tells which attempt is the newest of its job; *ledger.Ledger implements it.
type Ledger interface {
	Holds(ctx context.Context, id string, attempt int) error
}

// Results are the results in the ledger; *results.Results implements it.
type Results interface {
	Get(ctx context.Context, job string) (result results.Result, found bool, err error)
}

// Events is the log of events; *eventlog.Log implements it.
type Events interface {
	Note(ctx context.Context, e eventlog.Event) error
	NoteOnce(ctx context.Context, e eventlog.Event) error
}

// Config is what all publications of a node share. All fields are required.
type Config struct {
	// Node is the name of this node, and BaseURL what the result URLs begin with that
	// it serves.
	Node, BaseURL string
	Store         Store
	Ledger        Ledger
	Results       Results
	Events        Events
	// Backoff between tries to store something or to ask the ledger.
	Backoff retry.Backoff
	// MaxFiles bounds the files of one attempt together, in bytes.
	MaxFiles int64
	// LedgerResults is the size of the largest result for the ledger, in bytes; at most
	// results.Max. 0: all results are objects.
	LedgerResults int
}

// Publication publishes what one attempt leaves.
type Publication struct {
	// Job is the document of the job. Only Adopt may be called before it is set.
	Job *jobs.Job

	cfg    *Config
	record *ledger.Record
	logger *slog.Logger
	stored []string // keys of files
	done   bool
	result []byte

	deterministic bool // by program.json
}

// Run is a run of a program that came to its end.
type Run struct {
	ProgramSHA256 string
	Deterministic bool   // by program.json
	Dir           string // the working directory
	Stdout        []byte
	Log           io.Writer // gets a line for every file that is left out
	Sources       []jobs.Source
	// Check checks Stdout against the schema of results.
	Check func(context.Context) error
	// Alive ends when the attempt is to stop. Stopped then returns its fault.
	Alive   context.Context
	Stopped func() error
}

// New returns the publication of the attempt in record.
func New(cfg *Config, record *ledger.Record, logger *slog.Logger) *Publication {
	return &Publication{cfg: cfg, record: record, logger: logger}
}

// Done reports whether the result of the job is in the store, where this attempt has
// created or found it.
func (p *Publication) Done() bool { return p.done }

// Result returns the result that the ledger is to take in the transaction that ends the
// attempt. It is nil if there is none or if it is in the store.
func (p *Publication) Result() []byte { return p.result }

// persist tries several times to store something: a disk that is full may have room a
// moment later.
func (p *Publication) persist(ctx context.Context, write func() error) error {
	for try := 1; ; try++ {
		err := write()
		if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, store.ErrTooBig) || errors.Is(err, store.ErrReopen) {
			return err
		}
		if try == persistTries || !retry.Sleep(ctx, p.cfg.Backoff.Wait(try)) {
			return err
		}
	}
}

// drop removes objects that no result names.
func (p *Publication) drop(ctx context.Context, keys []string) {
	for _, key := range keys {
		if err := p.cfg.Store.Delete(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.logger.Warn("an object that is not wanted any more is left in the store", "key", key, "err", err)
		}
	}
}

// Note records an event of the job.
func (p *Publication) Note(ctx context.Context, kind, message string) {
	p.note(ctx, p.cfg.Events.Note, kind, message)
}

func (p *Publication) note(ctx context.Context, record func(context.Context, eventlog.Event) error, kind, message string) {
	e := eventlog.Event{Kind: kind, Job: p.record.ID, Node: p.cfg.Node, Message: logtext.Clean(message, fault.MaxMessage)}
	p.logger.Warn(e.Message, "event", kind)
	if err := record(ctx, e); err != nil {
		p.logger.Warn("event not recorded", "event", kind, "err", err)
	}
}
