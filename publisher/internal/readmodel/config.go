// Package readmodel reads what the API and the pages show alike: the overview, nodes,
// programs, jobs and events. Readings that many ask for at one time are shared for a
// moment; their values must not be changed.
package readmodel

import (
	"context"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
)

// Config is what the readers read from.
type Config struct {
	Ledger *ledger.Ledger
	Store  *store.Store
	// Node is the name of this node.
	Node string
	// Servers returns the state of each beanstalkd server as this node sees it.
	Servers func(ctx context.Context) []api.Server
	// Paused returns the tubes that are paused on beanstalkd. It must not block.
	Paused func() []api.PausedTube
	// Drains returns what is drained.
	Drains func(ctx context.Context) (api.Drains, error)
}
