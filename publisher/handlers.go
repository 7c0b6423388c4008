package publisher

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
