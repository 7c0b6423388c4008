// Package nodes stores the instances of nodes, their heartbeats and programs, and what
// persons have set for nodes.
package nodes

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var (
	// ErrTwin is wrapped by a TwinError.
	ErrTwin = errors.New("another node of this name is alive")
	// ErrInstance is returned for an instance that is not registered or has left.
	ErrInstance = errors.New("no such instance")
)

// TwinError is returned by Register if another living instance has the name of the node.
type TwinError struct {
	Node, Instance string
	// Lease is that of the other instance, at most MaxLease. If its heartbeat does not
	// change for so long, Register succeeds.
	Lease time.Duration
}

func (e *TwinError) Error() string {
	return fmt.Sprintf("node %s, instance %s: %v", e.Node, e.Instance, ErrTwin)
}

func (e *TwinError) Unwrap() error { return ErrTwin }

// Registry is the nodes of a ledger.
type Registry struct {
	ledger    engine.Access
	live      liveness
	schema    int
	announced func(t engine.Tx, program string) error
}

// Config is the configuration of a Registry.
type Config struct {
	// Lease is that of the instances which this process registers. An instance is dead if
	// its heartbeat has not changed for its lease.
	Lease time.Duration
	// Watch is the most time between two looks at heartbeats that counts as their age.
	// Default: a quarter of Lease.
	Watch time.Duration
	// Clock is not rounded.
	Clock func() time.Time
	// Schema is the version of the schema that this program knows.
	Schema int
}

// New returns the nodes of a ledger. announced is called for each program that a node
// announces.
func New(ledger engine.Access, c Config, announced func(engine.Tx, string) error) *Registry {
	return &Registry{ledger: ledger, announced: announced, schema: c.Schema, live: liveness{
		lease: c.Lease, watch: cmp.Or(c.Watch, c.Lease/4), clock: c.Clock, seen: map[string]sighting{},
	}}
}
