package auth

import "github.com/runnerbean/runnerbean/internal/access"

// Level is who may use a route. Nobody may use a route with the zero Level.
type Level int

// The levels of routes. Submit, Viewer and Operator are also the roles of callers.
const (
	_ Level = iota
	// Anyone needs nothing.
	Anyone
	// Holder has a result's URL, or a signed one where Config.URLKeyFile is set.
	Holder
	// Submit is the role of programs that submit jobs. No route needs just this role.
	Submit
	// Viewer may read the pages and the API.
	Viewer
	// Operator may change something.
	Operator
	// OwnReader is Viewer, or Submit for jobs of the same token.
	OwnReader
	// OwnActor is Operator, or Submit for jobs of the same token.
	OwnActor
)

// Role returns the role that a level needs.
func (l Level) Role() Level {
	switch l {
	case OwnReader:
		return Viewer
	case OwnActor:
		return Operator
	}
	return l
}

// String returns the name of a role.
func (l Level) String() string {
	switch l {
	case Submit:
		return string(access.Submit)
	case Viewer:
		return string(access.Viewer)
	}
	return string(access.Operator)
}
