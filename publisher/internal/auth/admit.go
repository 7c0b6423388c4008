package auth

import (
	"net/http"
	"net/url"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Guard returns next behind a check of who may use it.
func (a *Auth) Guard(needs Level, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := a.foreign.Check(c.Request()); err != nil {
			return httpio.Problem(http.StatusForbidden, "a page of another origin has sent this; RUNNERBEAN_CORS lists the origins that may")
		}
		if err := a.admit(c, needs); err != nil {
			return a.orLogin(c, needs, err)
		}
		return next(c)
	}
}

// admit checks a request to a route of a level. No other function decides that.
func (a *Auth) admit(c echo.Context, needs Level) error {
	switch needs {
	case Anyone:
		AllowAnyOrigin(c.Response().Header(), c.Request())
		return nil
	case Holder:
		return a.admitHolder(c)
	case Viewer, OwnReader:
		return a.admitCaller(c, needs)
	case Operator, OwnActor:
		if a.cfg.ReadOnly != "" {
			return httpio.Problem(http.StatusForbidden, a.cfg.ReadOnly)
		}
		return a.admitCaller(c, needs)
	}
	return httpio.Problem(http.StatusForbidden, "nobody may use this path")
}

// admitCaller needs a token or a session with the role of the level, where tokens
// are needed at all.
func (a *Auth) admitCaller(c echo.Context, needs Level) error {
	if err := refuseJobs(c.Request()); err != nil {
		return err
	}
	h := c.Response().Header()
	a.allowListedOrigin(h, c.Request())
	h.Set("Cache-Control", "private, no-cache") // unless the handler says otherwise
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	caller, err := a.identify(c)
	if err != nil {
		return err
	}
	if caller.Role == Submit && (needs == OwnReader || needs == OwnActor) {
		err = a.admitSubmitter(c, caller)
	} else if caller.Role < needs.Role() {
		h.Set("WWW-Authenticate", challenge+`, error="insufficient_scope"`)
		err = httpio.Problem(http.StatusForbidden, "this needs the role "+needs.Role().String()+"; the token "+caller.Name+" has the role "+caller.Role.String())
	}
	if err == nil {
		c.Set(callerKey, caller)
	}
	return err
}

// refuseJobs returns an error for a request that a node makes because a job names the URL.
func refuseJobs(r *http.Request) error {
	if r.Header.Get(outbound.Header) == "" {
		return nil
	}
	return httpio.Problem(http.StatusForbidden, "a job's URL leads to this node, which gives jobs nothing but results")
}

// admitSubmitter lets a token with the role submit use a route about a job that
// it has submitted. Other jobs are unknown to it.
func (a *Auth) admitSubmitter(c echo.Context, caller Caller) error {
	id := c.Param("id")
	if id == "" {
		return nil
	}
	return a.submitted(c, caller, id)
}

// submitted returns ledger.ErrUnknown for a job that the caller's token has not submitted.
func (a *Auth) submitted(c echo.Context, caller Caller, id string) error {
	submitter, err := a.cfg.Ledger.Submitter(c.Request().Context(), id)
	if err == nil && submitter != caller.Name {
		err = ledger.ErrUnknown
	}
	return err
}

// admitHolder checks a result's URL: every one is good or, with Config.URLKeyFile,
// a signed one. A viewer may read every result.
func (a *Auth) admitHolder(c echo.Context) error {
	signature := takeSignature(c.Request())
	c.Set(signatureKey, signature.Encode())
	if a.OpenResults() {
		AllowAnyOrigin(c.Response().Header(), c.Request())
		return nil
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache") // unless the handler says otherwise
	err := a.verify(c.Param("id"), signature)
	if err == nil {
		// The URL is the only secret, so that a page of any origin that has it may read the answer.
		AllowAnyOrigin(c.Response().Header(), c.Request())
		return nil
	}
	refused := a.admitCaller(c, OwnReader)
	if refused == nil {
		return nil
	}
	AllowAnyOrigin(c.Response().Header(), c.Request()) // a page can say why there is no result
	if len(signature) == 0 {
		return refused
	}
	return a.badSignature(c, err)
}

// ResultReader returns a function that says whether the sender of a request may read the
// result of a job: with its signature, or as a caller who may read all results or who has
// submitted it. The error is what admitHolder answers.
func (a *Auth) ResultReader(c echo.Context) func(id string, signature url.Values) error {
	if a.OpenResults() {
		return func(string, url.Values) error { return nil }
	}
	identified := sync.OnceValues(func() (Caller, error) {
		if err := refuseJobs(c.Request()); err != nil {
			return Caller{}, err
		}
		return a.identify(c)
	})
	return func(id string, signature url.Values) error {
		bad := a.verify(id, signature)
		if bad == nil {
			return nil
		}
		caller, err := identified()
		switch {
		case err == nil && caller.Role >= Viewer:
			return nil
		case err == nil:
			return a.submitted(c, caller, id)
		case len(signature) == 0:
			return err
		}
		return a.badSignature(c, bad)
	}
}
