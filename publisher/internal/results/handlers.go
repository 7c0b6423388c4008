package results

import (
	"log/slog"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// Handlers serves result URLs.
type Handlers struct {
	docs     *Documents
	auth     *auth.Auth
	broker   *live.Broker
	proxies  *httpio.Proxies
	sending  *admission.Limiter // objects of the store that are being sent
	sendPage func(echo.Context, jobview.Data) error
	log      *slog.Logger
}

// HandlersConfig of Handlers. All of it is required.
type HandlersConfig struct {
	Documents *Documents
	Auth      *auth.Auth
	Broker    *live.Broker
	// Proxies tell the addresses of clients.
	Proxies *httpio.Proxies
	// MaxFiles returns the greatest number of objects that are sent at one time.
	MaxFiles func() int
	// SendPage answers with the page about a result.
	SendPage func(echo.Context, jobview.Data) error
	Logger   *slog.Logger
}

// NewHandlers returns Handlers.
func NewHandlers(cfg HandlersConfig) *Handlers {
	return &Handlers{
		docs: cfg.Documents, auth: cfg.Auth, broker: cfg.Broker, proxies: cfg.Proxies, sending: admission.New(cfg.MaxFiles), sendPage: cfg.SendPage,
		log: cfg.Logger,
	}
}
