package worker

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/queues"
	"github.com/runnerbean/runnerbean/jobs"
)

// Ledger is the record of jobs; *ledger.Ledger implements it.
type Ledger interface {
	ID() string
	Get(ctx context.Context, id string) (ledger.Record, error)
	MarkSent(ctx context.Context, sent []ledger.Sent) error
	Claim(ctx context.Context, id string, o ledger.Owner, programSHA256 string) (ledger.Claim, error)
	MoreUrgent(ctx context.Context, id, server string) ([]ledger.Urgent, error)
	Report(ctx context.Context, id string, attempt int, live ledger.Live) error
	Finish(ctx context.Context, id string, attempt int, e ledger.Ending) ([]ledger.Record, error)
	Fail(ctx context.Context, id string, e jobs.Error) error
	Cancelling(ctx context.Context, ids []string) ([]ledger.Stopping, error)
	Holds(ctx context.Context, id string, attempt int) error
	OnChange(f func(ids []string)) (remove func())
}

// Nodes lists the nodes; *nodes.Registry has it.
type Nodes interface {
	List(ctx context.Context) ([]nodes.Node, error)
	Drains(ctx context.Context) ([]nodes.Drain, error)
	Controls(ctx context.Context) (map[string]nodes.Control, error)
}

// Queues says which programs have jobs that are due; *queues.Queues implements it.
type Queues interface {
	Heads(ctx context.Context, server string) ([]queues.Head, error)
	Priority(ctx context.Context, id string) (priority uint32, known bool, err error)
	NextDue(ctx context.Context, server string, after time.Time) (time.Time, error)
}
