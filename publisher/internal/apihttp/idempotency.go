package apihttp

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// maxKey is the length in bytes of the longest Idempotency-Key.
const maxKey = 255

// idempotencyKey returns the Idempotency-Key of a request; empty without one.
func idempotencyKey(r *http.Request) (string, error) {
	lines := r.Header.Values("Idempotency-Key")
	if len(lines) == 0 {
		return "", nil
	}
	key := lines[0]
	ok := len(lines) == 1 && key != "" && len(key) <= maxKey
	for i := range len(key) {
		ok = ok && key[i] >= ' ' && key[i] <= '~'
	}
	if !ok {
		return "", httpio.Problem(http.StatusBadRequest, "the Idempotency-Key is one text of 1 to 255 printable ASCII characters, best a new UUID")
	}
	return key, nil
}

// once answers a request with what do returns, or with the answer of an earlier request
// with the same Idempotency-Key.
func (a *API) once(c echo.Context, body []byte, do func(context.Context) (status int, answer any, err error)) error {
	r := c.Request()
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	answer, err := a.cfg.Operations.Once(r.Context(), operations.Request{
		Caller: auth.CallerOf(c), Key: key, Method: r.Method, Path: r.URL.Path, IfMatch: httpio.Field(r.Header, "If-Match"), Body: body,
	}, do)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	if answer.Replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	return c.Blob(answer.Status, httpio.TypeJSON, answer.Body)
}
