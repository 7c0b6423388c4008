package checkpoint

import (
	"context"
	"io"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/store"
)

// Ledger records checkpoints; *checkpoints.Checkpoints implements it.
type Ledger interface {
	Begin(ctx context.Context, job string, attempt int) (number int, ok bool, err error)
	Record(ctx context.Context, p checkpoints.Checkpoint) (ok bool, err error)
	Abandon(ctx context.Context, job string, number int) error
	Kept(ctx context.Context, job string) ([]checkpoints.Checkpoint, error)
	Tried(ctx context.Context, p checkpoints.Checkpoint, attempt int, broken string) error
	Requests(ctx context.Context, ids []string) ([]checkpoints.Request, error)
	Answered(ctx context.Context, r checkpoints.Request) error
	Done(ctx context.Context, job string) error
}

// Store has the objects; *store.Store implements it.
type Store interface {
	CreateFrom(ctx context.Context, key string, r io.Reader) (int64, error)
	Open(ctx context.Context, key string) (*store.Object, error)
	Delete(ctx context.Context, key string) error
}

// Events is the log of events; *eventlog.Log implements it.
type Events interface {
	Note(ctx context.Context, e eventlog.Event) error
}
