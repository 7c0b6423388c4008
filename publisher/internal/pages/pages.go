// Package pages serves the pages for people: the dashboard, the page about one
// result, the login, and the scripts and style sheets of all of them.
package pages

import (
	"context"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/families"
	"github.com/runnerbean/runnerbean/publisher/internal/frames"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// Config of Pages. All of it is required. The functions read what the pages show.
type Config struct {
	// Node is the name of this node, and BaseURL the base URL of its results.
	Node, BaseURL string
	// ReadOnly is the reason why all changes are refused; empty if they are allowed.
	ReadOnly   string
	Auth       *auth.Auth
	Operations *operations.Operations
	// Level returns the level of a GET route, or 0 for other paths.
	Level func(path string) auth.Level

	Verdict  func(ctx context.Context) (api.Verdict, error)
	Overview func(ctx context.Context, window string) (api.Overview, error)
	Counts   func(ctx context.Context) (map[jobs.State]int, error)
	Jobs     func(ctx context.Context, f listing.Filter) (api.Page, error)
	Job      func(ctx context.Context, id string) (api.Details, error)
	Record   func(ctx context.Context, id string) (ledger.Record, error)
	Series   func(ctx context.Context, id string) (api.JobSeries, error)
	// Result returns the result of a job, or how it stands, with the end of its log.
	// The error is [httpio.ErrMissing] where the store does not have the result.
	Result   func(ctx context.Context, id string) (jobview.Data, error)
	Nodes    func(ctx context.Context) ([]api.Node, error)
	NodeOf   func(ctx context.Context, name string) (api.Node, error)
	Programs func(ctx context.Context) (api.Programs, error)
	Program  func(ctx context.Context, name, window string) (api.ProgramDetails, error)
	Counters func(ctx context.Context, program, node, window string) (api.Counters, error)
	Events   func(ctx context.Context, f eventlog.Filter) (api.EventPage, error)
	// Frames reads what pages show of batches. BatchOf returns the batch of a job and its number
	// there, below 0 for the bundle; the batch is empty for other jobs.
	Frames *frames.Reader
	// Stages reads the jobs that programs have made of a job.
	Stages  families.Stages
	BatchOf func(ctx context.Context, id string) (batch string, number int, err error)
}

// Pages has the handlers of the dashboard. Its pages are kept for a moment, see
// [Pages.Forget].
type Pages struct {
	cfg   Config
	root  string // the path under which the pages are
	node  string // the name of this node, as pages show it
	cache pageCache
}

// New returns Pages over a configuration.
func New(cfg Config) *Pages {
	return &Pages{cfg: cfg, root: httpio.BasePath(httpio.PageBase(cfg.BaseURL)), node: text.Line(cfg.Node, text.NameLimit)}
}

// Forget makes the next pages show what has been changed. Call it after each
// change that came in through this node.
func (p *Pages) Forget() {
	p.cache.forget()
	if p.cfg.Frames != nil {
		p.cfg.Frames.Forget()
	}
}
