// Package publisher answers for results over HTTP: the result URLs with their
// live events, logs and files, the API and the pages for a person. It reads
// the ledger and the store; what changes a job goes through the functions in
// its Config.
package publisher

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
)

// Config of a Publisher.
type Config struct {
	// Ledger and Store are read only; the caller closes them. Required.
	Ledger *ledger.Ledger
	Store  *store.Store
	// BaseURL is what the result URLs of this node begin with. Required.
	BaseURL string
	// Node is this node's name, for the pages.
	Node string
	// Accept records a document that jobs.Complete has filled in, and returns
	// after the commit. Default: no documents are taken.
	Accept func(ctx context.Context, document []byte) (ledger.Accepted, error)
	// Cancel cancels a job; by says who asked. Default: none can be cancelled.
	Cancel func(ctx context.Context, id, by string) (ledger.Record, error)
	// Ready says why the node should get no traffic. Default: always ready.
	Ready func(ctx context.Context) error
	// Token that writing requests must bear. Default: none is asked for.
	Token string
	// ReadOnly, where it is not empty, says why writing requests are refused
	// and what to set so that they are not. Default: they are taken.
	ReadOnly string
	// CORS lists the exact origins whose pages may read, and write with the
	// token. Default: any origin may read, none may write.
	CORS []string
	// MaxStreams bounds the event streams and held answers at one time.
	// Default 20,000.
	MaxStreams int
	// CacheBytes bounds the memory that holds results. Default 64 MiB.
	CacheBytes int64
	// Logger. Default slog.Default().
	Logger *slog.Logger
}

// Publisher serves HTTP. Its Handler needs Run, or use Serve, which is both.
type Publisher struct {
	cfg Config
}

// New checks the configuration and builds the routes.
func New(cfg Config) (*Publisher, error) {
	if cfg.Ledger == nil || cfg.Store == nil {
		return nil, errors.New("publisher: Config.Ledger and Config.Store are required")
	}
	return &Publisher{cfg: cfg}, nil
}

// Handler serves every route. Live events need Run.
func (p *Publisher) Handler() http.Handler { return http.NotFoundHandler() }

// Run feeds the live events until ctx ends, and ends the streams with it.
func (p *Publisher) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Serve is Run and an HTTP server on ln, which it closes. When ctx ends it
// ends the streams and lets other answers finish for up to ten seconds.
func (p *Publisher) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	return p.Run(ctx)
}
