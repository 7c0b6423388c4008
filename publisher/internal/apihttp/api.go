// Package apihttp serves /api/v1.
package apihttp

import (
	"context"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// Batches reads the frames of batches.
type Batches interface {
	// List returns frames by number, Slowest those that ran longest.
	List(ctx context.Context, batch string, state jobs.State, first, last, limit int) ([]batches.Frame, error)
	Slowest(ctx context.Context, batch string, limit int) ([]batches.Frame, error)
}

// Packages receives the tars of batches.
type Packages interface {
	// Receive puts the files of a tar into the store, and returns the batch with their digests.
	Receive(ctx context.Context, tar io.Reader) (batch []byte, err error)
}

// Config of an API. All fields but Packages are required.
type Config struct {
	BaseURL    string
	Auth       *auth.Auth
	Operations *operations.Operations

	Jobs      *readmodel.Jobs
	Nodes     *readmodel.Nodes
	Programs  *readmodel.Programs
	Counters  *readmodel.Counters
	Overviews *readmodel.Overviews
	Events    *readmodel.Events
	// Record returns a job as the ledger has it.
	Record func(ctx context.Context, id string) (ledger.Record, error)
	// Document returns the document at a job's result URL, also as JSON.
	Document func(ctx context.Context, id string) (jobs.Result, []byte, error)
	// Batches reads the frames of batches.
	Batches Batches
	// Packages may be nil: then no batch may come as a tar.
	Packages Packages
	// Broker serves the event stream of the news.
	Broker *live.Broker
}

// API has the handlers of /api/v1.
type API struct{ cfg Config }

// New returns an API over a configuration.
func New(cfg Config) *API { return &API{cfg: cfg} }

// JSON returns a handler that answers with what a function returns.
func JSON(get func(c echo.Context) (any, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		v, err := get(c)
		if err != nil {
			return err
		}
		return httpio.SendJSON(c, http.StatusOK, v)
	}
}
