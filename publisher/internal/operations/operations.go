// Package operations does what the API, the pages and the terminal may ask for: it
// applies verbs to jobs and nodes, submits jobs and drains. Each caller gets the same
// limits, reasons and partial results.
package operations

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/ledger/stuck"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Ledger is what operations read in the ledger.
type Ledger interface {
	Get(ctx context.Context, id string) (ledger.Record, error)
	GetMany(ctx context.Context, ids []string) ([]ledger.Record, error)
	List(ctx context.Context, f listing.Filter) (ledger.Page, error)
	Submitter(ctx context.Context, id string) (string, error)
}

// Nodes is what operations read of nodes.
type Nodes interface {
	List(ctx context.Context) ([]nodes.Node, error)
	Drains(ctx context.Context) ([]nodes.Drain, error)
}

// Replays keeps answers to requests that may be sent again.
type Replays interface {
	Replay(ctx context.Context, key string) (outbox.Replayed, bool, error)
	Remember(ctx context.Context, key string, r outbox.Replayed) error
}

// Stuck finds what holds jobs up.
type Stuck interface {
	FailedNeeds(ctx context.Context, jobs []string) ([]stuck.Edge, error)
}

// Counters is the number of jobs in each state.
type Counters interface {
	Counts(ctx context.Context) (map[jobs.State]int, error)
}

// Config of Operations. publisher.Config describes the functions.
type Config struct {
	Ledger   Ledger
	Counters Counters
	Stuck    Stuck
	Nodes    Nodes
	Replays  Replays
	BaseURL  string
	Accept   func(ctx context.Context, documents [][]byte, submitter string) ([]ledger.Accepted, error)
	Act      func(ctx context.Context, verb ledger.Verb, by string, targets []ledger.Target) ([]ledger.Acted, error)
	Revive   func(ctx context.Context) (ledger.Revived, error)
	// ResultMissing reports whether the store has no result of a job.
	ResultMissing func(ctx context.Context, id string) (bool, error)
	Drain         func(ctx context.Context, node, by, reason string) error
	Undrain       func(ctx context.Context, node, by string) error
	Control       func(ctx context.Context, node string, change func(*nodes.Control), by string, expect *time.Time) (nodes.Control, error)
	Forget        func(ctx context.Context, node, by string) (int, error)
	Logger        *slog.Logger
	// Size returns how many bytes the objects of a job have in the store.
	Size func(ctx context.Context, id string, attempts int) (int64, error)
}

// Operations changes jobs and nodes.
type Operations struct {
	cfg      Config
	underWay sync.Map // idempotency keys of requests that are being answered
}

// New returns Operations over a configuration.
func New(cfg Config) *Operations { return &Operations{cfg: cfg} }

func forbidden(detail string) error { return httpio.Problem(http.StatusForbidden, detail) }
