// Package worker runs jobs: each slot reserves a message, claims the job that
// it names in the ledger, fetches the job's inputs, runs its program, publishes
// the result and finishes the attempt. The message is only a hint; the ledger
// decides.
package worker

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// Worker runs jobs in its slots.
type Worker struct {
	cfg Config
}

// New checks the configuration and looks at the installed programs. It does
// not wait for beanstalkd.
func New(cfg Config) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Worker{cfg: cfg}, nil
}

// Programs are the valid programs that are installed now, by name.
func (w *Worker) Programs() []ledger.Program { return nil }

// Run takes work until take ends. Running jobs then go on for ShutdownGrace or
// until work ends, whichever is first; after that they are interrupted, which
// costs them nothing. Run returns when all of it has ended.
func (w *Worker) Run(take, work context.Context) error {
	<-take.Done()
	return nil
}
