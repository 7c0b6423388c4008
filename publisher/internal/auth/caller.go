package auth

import (
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
)

// Caller is the sender of a request.
type Caller struct {
	Name   string // of the token; empty where none is needed
	By     string // the name or, without one, the address: for events
	Role   Level  // Submit, Viewer or Operator; 0 on a route that needs no role
	Secret string // the token's hash, which only its owner and the nodes know
}

const callerKey = "caller"

// CallerOf returns the caller of a request that Guard has admitted.
func CallerOf(c echo.Context) Caller {
	caller, _ := c.Get(callerKey).(Caller)
	if caller.By = caller.Name; caller.By == "" {
		caller.By = "API request from " + c.RealIP()
	}
	return caller
}

func callerWith(t access.Token) Caller {
	caller := Caller{Name: t.Name, Role: Viewer, Secret: string(t.Hash[:])}
	switch t.Role {
	case access.Operator:
		caller.Role = Operator
	case access.Submit:
		caller.Role = Submit
	}
	return caller
}

// CanAct reports whether the caller may change something at this node.
func (a *Auth) CanAct(c echo.Context) bool {
	return CallerOf(c).Role == Operator && a.cfg.ReadOnly == ""
}
