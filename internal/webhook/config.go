// Package webhook sends webhooks to the URLs that jobs name when the jobs end, and
// delivers final documents to their URLs. Its work comes from the outbox of the ledger.
// The transaction that ends a job writes the outbox entry, so each entry is delivered
// at least once, even if processes are killed.
package webhook

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/outbound"
)

// Hook is an entry of the outbox: a webhook to send at the end of a job, or a document
// to deliver.
type Hook = outbox.Hook

var (
	// ErrNotYet is returned by Config.ResultURL if the result is about to be
	// delivered. The webhook is then put off for a moment.
	ErrNotYet = errors.New("its result is about to be delivered")
	// ErrGoesOn is returned by Config.Document for a job that was retried and has not
	// ended again. The document of its next end is delivered instead.
	ErrGoesOn = errors.New("the job goes on")
)

// Outbox is the part of the ledger that a Deliverer uses.
type Outbox interface {
	// Due leases at most limit entries that are due. No other node gets them until the
	// lease ends.
	Due(ctx context.Context, owner string, limit int, lease time.Duration) ([]Hook, error)
	// Done removes an entry that was delivered.
	Done(ctx context.Context, h Hook) error
	// Obsolete removes the delivery of a job that was retried.
	Obsolete(ctx context.Context, h Hook) error
	// Serves reports whether the nodes of the pool serve a URL themselves.
	Serves(ctx context.Context, url string) (bool, error)
	// Unneeded removes a delivery to a URL that the pool serves.
	Unneeded(ctx context.Context, h Hook) error
	// Failed postpones an entry until next, or gives it up and records an event.
	Failed(ctx context.Context, h Hook, next time.Time, message string, giveUp bool) error
}

// Config of a Deliverer. The zero value of a field means its default.
type Config struct {
	// Outbox holds what is to be delivered. Required.
	Outbox Outbox
	// Owner is the id of this instance. Required.
	Owner string
	// Keys sign webhooks, each with a signature of its own, see signature.Webhook. At least
	// one is required.
	Keys [][]byte
	// ResultURL returns the URL at which the result of a job is read, or ErrNotYet.
	// Required.
	ResultURL func(ctx context.Context, job string) (string, error)
	// Document returns the final document of a job and its size in bytes, or ErrGoesOn.
	// The caller closes the document. Required.
	Document func(ctx context.Context, job string) (io.ReadCloser, int64, error)
	// Outbound decides which addresses may be called.
	Outbound outbound.Config
	// Every is how often the outbox is read. Default 1 s.
	Every time.Duration
	// Timeout bounds one try. Default 15 s.
	Timeout time.Duration
	// MaxAge is how long after the end of its job an entry is tried. Default 24 h.
	MaxAge time.Duration
	// Base and Most bound the wait before another try, which doubles. Defaults 5 s
	// and 4 h.
	Base, Most time.Duration
	// Jitter returns a number in [0, 1) that spreads waits. Default random.
	Jitter func() float64
	// Observe is called after each try with the kind of the Hook and its outcome:
	// "delivered", "failed" or "given_up". Default: nothing is called.
	Observe func(kind, outcome string)
	// Logger. Default slog.Default().
	Logger *slog.Logger
}

func (cfg Config) withDefaults() Config {
	cfg.Every = cmp.Or(cfg.Every, time.Second)
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 24*time.Hour)
	cfg.Base = cmp.Or(cfg.Base, 5*time.Second)
	cfg.Most = cmp.Or(cfg.Most, 4*time.Hour)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, string) {}
	}
	return cfg
}
