package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/apihttp"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/frames"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
	"github.com/runnerbean/runnerbean/publisher/internal/packages"
	"github.com/runnerbean/runnerbean/publisher/internal/pages"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
	"github.com/runnerbean/runnerbean/publisher/internal/results"
)

// New checks the configuration and builds the routes.
func New(cfg Config) (*Publisher, error) {
	if cfg.Ledger == nil || cfg.Store == nil || cfg.BaseURL == "" {
		return nil, errors.New("publisher: Config.Ledger, Config.Store and Config.BaseURL are required")
	}
	fill(&cfg)
	if cfg.Revive == nil {
		cfg.Revive = cfg.Ledger.Dependents.Revive
	}
	p := &Publisher{
		cfg: cfg, log: cfg.Logger,
	}
	p.conns = admission.New(cfg.Connections)
	p.proxies = httpio.NewProxies(cfg.Proxies)
	p.broker = live.NewBroker(live.Config{
		Proxies:    p.proxies,
		MaxStreams: func() int { return min(cfg.MaxStreams, max(1, cfg.Connections()*7/8)) },
		Read:       func(ctx context.Context, id string) live.Document { return p.docs.Read(ctx, id) },
		Source:     readmodel.NewsSource{Ledger: cfg.Ledger}, Logger: cfg.Logger,
	})
	var err error
	p.auth, err = auth.New(auth.Config{
		Ledger: cfg.Ledger, Events: cfg.Ledger.Events, Sessions: cfg.Ledger.Sessions, BaseURL: cfg.BaseURL, Node: cfg.Node, TokensFile: cfg.TokensFile, Token: cfg.Token,
		ReadOnly: cfg.ReadOnly, URLKeyFile: cfg.URLKeyFile, TLSCert: cfg.TLSCert, TLSKey: cfg.TLSKey, CORS: cfg.CORS, Proxies: p.proxies, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	p.ops = operations.New(operations.Config{
		Size: func(ctx context.Context, id string, attempts int) (int64, error) {
			return cfg.Store.JobSize(ctx, store.JobObjects{ID: id, Attempts: attempts})
		},
		Ledger: cfg.Ledger, Counters: cfg.Ledger.Activity, Nodes: cfg.Ledger.Nodes, Replays: cfg.Ledger.Replays,
		Stuck: cfg.Ledger.Stuck, Revive: cfg.Revive, BaseURL: cfg.BaseURL, Accept: cfg.Accept, Act: cfg.Act, ResultMissing: p.resultMissing,
		Drain: cfg.Drain, Undrain: cfg.Undrain, Control: cfg.Control, Forget: cfg.Forget, Logger: cfg.Logger,
	})
	p.addReaders()
	p.addResults()
	p.api = p.newAPI()
	if p.assets, err = pages.NewAssets(time.Now()); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	p.pages = p.newPages()
	p.echo = p.newEcho()
	return p, nil
}

// newAPI returns the API over what this node reads and does.
func (p *Publisher) newAPI() *apihttp.API {
	var receiver apihttp.Packages
	if p.cfg.Uploads != "" {
		receiver = packages.New(packages.Config{Files: p.cfg.Ledger.Packages, Objects: p.cfg.Store, Folder: p.cfg.Uploads, Room: p.cfg.Room})
	}
	return apihttp.New(apihttp.Config{
		BaseURL: p.cfg.BaseURL, Auth: p.auth, Operations: p.ops, Record: p.cfg.Ledger.Get, Broker: p.broker,
		Jobs: p.jobs, Nodes: p.nodes, Programs: p.programs, Counters: p.counters, Overviews: p.overviews, Events: p.events,
		Document: p.docs.Get, Batches: p.cfg.Ledger.Batches, Packages: receiver,
	})
}

// newPages returns the pages over what this node reads and does.
func (p *Publisher) newPages() *pages.Pages {
	return pages.New(pages.Config{
		Node: p.cfg.Node, BaseURL: p.cfg.BaseURL, ReadOnly: p.cfg.ReadOnly, Auth: p.auth, Operations: p.ops,
		Level:   func(path string) auth.Level { return p.levels[path] },
		Verdict: p.overviews.Verdict, Overview: p.overviews.Get, Counts: p.cfg.Ledger.Activity.Counts,
		Jobs: p.jobs.List, Job: p.jobs.Details, Record: p.cfg.Ledger.Get, Series: p.jobs.Series, Result: p.docs.PageResult,
		Nodes: p.nodes.Now, NodeOf: p.nodes.Get, Programs: p.programs.Now, Program: p.programs.Get, Counters: p.counters.Get, Events: p.events.Page,
		Frames: frames.NewReader(frames.Config{
			Batches: p.cfg.Ledger.Batches, Record: p.cfg.Ledger.Get, Results: published.New(p.cfg.Ledger.Results, p.cfg.Store),
		}),
		BatchOf: p.cfg.Ledger.Batches.Of, Stages: p.cfg.Ledger.Families.Stages,
	})
}

// addReaders makes the readers of what API and pages show.
func (p *Publisher) addReaders() {
	cfg := readmodel.Config{
		Ledger: p.cfg.Ledger, Store: p.cfg.Store, Node: p.cfg.Node, Servers: p.cfg.Servers, Paused: p.cfg.Paused, Drains: p.ops.Drains,
	}
	p.nodes = readmodel.NewNodes(cfg)
	p.jobs, p.events = readmodel.NewJobs(cfg, p.nodes), readmodel.NewEvents(cfg)
	p.programs, p.counters = readmodel.NewPrograms(cfg, p.nodes), readmodel.NewCounters(cfg)
	p.overviews = readmodel.NewOverviews(cfg, p.nodes, p.jobs, p.events)
}

// addResults makes what answers for result URLs.
func (p *Publisher) addResults() {
	p.docs = results.NewDocuments(results.Config{
		Ledger: p.cfg.Ledger, Store: p.cfg.Store, Jobs: p.jobs, CacheControl: p.auth.ResultCacheControl(), CacheBytes: p.cfg.CacheBytes,
	})
	p.results = results.NewHandlers(results.HandlersConfig{
		Documents: p.docs, Auth: p.auth, Broker: p.broker, Proxies: p.proxies, MaxFiles: func() int { return max(4, p.cfg.Connections()/7) },
		SendPage: func(c echo.Context, data jobview.Data) error { return p.pages.SendResult(c, data) },
		Logger:   p.log,
	})
}
