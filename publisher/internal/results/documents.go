// Package results answers at the result URLs of jobs: with documents, stored results, logs,
// files and the events of one job. [Documents] reads, [Handlers] serves.
package results

import (
	"golang.org/x/sync/singleflight"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// Documents reads the documents of jobs, and keeps the results of successes in memory.
type Documents struct {
	ledger       *ledger.Ledger
	store        *store.Store
	published    *published.Results
	jobs         *readmodel.Jobs
	cacheControl string // of results
	cache        *cache
	flight       singleflight.Group // by id, filling the cache
}

// Config of Documents. All of it is required.
type Config struct {
	Ledger *ledger.Ledger
	Store  *store.Store
	Jobs   *readmodel.Jobs
	// CacheControl is the field of that name in the answers with results.
	CacheControl string
	// CacheBytes bounds the memory that holds results.
	CacheBytes int64
}

// NewDocuments returns Documents.
func NewDocuments(cfg Config) *Documents {
	return &Documents{
		ledger: cfg.Ledger, store: cfg.Store, published: published.New(cfg.Ledger.Results, cfg.Store), jobs: cfg.Jobs,
		cacheControl: cfg.CacheControl, cache: newCache(cfg.CacheBytes),
	}
}
