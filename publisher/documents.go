package publisher

import (
	"golang.org/x/sync/singleflight"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// Documents reads the documents of jobs, and keeps the results of successes in memory.
type Documents struct {
	ledger       *ledger.Ledger
	store        *store.Store
	jobs         *readmodel.Jobs
	cacheControl string // of results
	cache        *cache
	flight       singleflight.Group // by id, filling the cache
}
