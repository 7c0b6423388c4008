// Package nodes stores the instances of nodes, their heartbeats and programs, and what
// persons have set for nodes.
package nodes

import (
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var (
	// ErrTwin is returned if another living instance has the name of a node.
	ErrTwin = errors.New("another node of this name is alive")
	// ErrInstance is returned for an instance that is not registered or has left.
	ErrInstance = errors.New("no such instance")
)

// Registry is the nodes of a ledger.
type Registry struct {
	ledger    engine.Access
	live      liveness
	announced func(t engine.Tx, program string) error
}

// New returns the nodes of a ledger. An instance is dead if its heartbeat has not
// changed for the lease, by clock. announced is called for each program that a node
// announces.
func New(ledger engine.Access, lease time.Duration, clock func() time.Time, announced func(engine.Tx, string) error) *Registry {
	return &Registry{ledger: ledger, announced: announced, live: liveness{lease: lease, clock: clock, seen: map[string]sighting{}}}
}
