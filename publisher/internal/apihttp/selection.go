package apihttp

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// maxSelection is the size in bytes of the largest selection: a thousand ids.
const maxSelection = 64 << 10

// PostSelection applies a verb to the jobs of a selection, a bounded number in each
// call.
func (a *API) PostSelection(v operations.Verb) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, err := httpio.ReadBody(c, maxSelection)
		if err != nil {
			return err
		}
		var order api.Selection
		if err := httpio.DecodeObject(body, &order); err != nil {
			return err
		}
		v := v
		if order.MissingResult {
			if v.Name != ledger.VerbRetry {
				return httpio.BadMember("/missing_result", "is for retry")
			}
			v = operations.RetryMissing
		}
		s, err := operations.SelectionOf(v, order)
		if err != nil {
			return err
		}
		return a.once(c, body, func(ctx context.Context) (int, any, error) {
			answer, err := a.cfg.Operations.Select(ctx, s, order.Limit, order.DryRun, auth.CallerOf(c).By)
			return http.StatusOK, answer, err
		})
	}
}
