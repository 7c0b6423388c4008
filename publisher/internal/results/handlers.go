package results

import (
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// Handlers serves result URLs.
type Handlers struct {
	docs     *Documents
	auth     *auth.Auth
	broker   *live.Broker
	sending  *admission.Limiter // objects of the store that are being sent
	sendPage func(echo.Context, jobview.Data) error
}

// HandlersConfig of Handlers. All of it is required.
type HandlersConfig struct {
	Documents *Documents
	Auth      *auth.Auth
	Broker    *live.Broker
	// MaxFiles returns the greatest number of objects that are sent at one time.
	MaxFiles func() int
	// SendPage answers with the page about a result.
	SendPage func(echo.Context, jobview.Data) error
}

// NewHandlers returns Handlers.
func NewHandlers(cfg HandlersConfig) *Handlers {
	return &Handlers{
		docs: cfg.Documents, auth: cfg.Auth, broker: cfg.Broker, sending: admission.New(cfg.MaxFiles), sendPage: cfg.SendPage,
	}
}
