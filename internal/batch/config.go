package batch

import (
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
)

// Config of a Runner. All fields but Interval and Logger are required.
type Config struct {
	Ledger     *ledger.Ledger
	Dispatcher *dispatch.Dispatcher
	// Store has the files of packages.
	Store *store.Store
	// Node and Instance own the batches that run here.
	Node, Instance string
	// Interval is the time between two looks for new batches, and at the frames of each.
	// Default a second.
	Interval time.Duration
	Logger   *slog.Logger // default slog.Default()
}
