// Package publisher answers for results over HTTP: the result URLs with their
// live events, logs and files, the API and the pages for a person. It reads
// the ledger and the store; what changes a job goes through the functions in
// its Config.
package publisher

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/apihttp"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
	"github.com/runnerbean/runnerbean/publisher/internal/pages"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
	"github.com/runnerbean/runnerbean/publisher/internal/results"
)

// Publisher serves HTTP. Its Handler needs Run, or use Serve, which is both.
type Publisher struct {
	cfg       Config
	log       *slog.Logger
	echo      *echo.Echo
	docs      *results.Documents
	results   *results.Handlers
	broker    *live.Broker
	conns     *admission.Limiter
	proxies   *httpio.Proxies
	nodes     *readmodel.Nodes
	programs  *readmodel.Programs
	counters  *readmodel.Counters
	overviews *readmodel.Overviews
	jobs      *readmodel.Jobs
	events    *readmodel.Events
	auth      *auth.Auth
	ops       *operations.Operations
	api       *apihttp.API
	levels    map[string]auth.Level // of the GET routes, by path
	pages     *pages.Pages
	assets    *pages.Assets
	// fromMemory counts the requests that net/http answered without the router.
	fromMemory atomic.Int64
	served     atomic.Int64 // by the fast path
}

// Reload reads the files of tokens, keys and certificate again, and logs each. A file
// with a fault changes nothing.
func (p *Publisher) Reload() { p.auth.Reload() }

// SetToken replaces the operator's token of Config.Token, which must have been set. The
// error is that it is too short.
func (p *Publisher) SetToken(secret string) error { return p.auth.SetToken(secret) }

// Run tells clients of changes until ctx ends, and ends the streams with it. It is
// called once.
func (p *Publisher) Run(ctx context.Context) error {
	defer p.cfg.Ledger.OnChange(p.docs.Forget)()
	defer p.cfg.Ledger.OnChange(p.broker.Changed)()
	defer p.cfg.Ledger.OnExternalCommit(p.broker.ChangedOutside)()
	outside := make(chan struct{}, 1)
	defer p.cfg.Ledger.OnExternalCommit(func() {
		select {
		case outside <- struct{}{}:
		default:
		}
	})()
	var following sync.WaitGroup
	defer following.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	following.Go(func() { p.docs.FollowDeletions(ctx, outside, p.log) })
	p.broker.Run(ctx)
	return nil
}
