package nodes

import (
	"encoding/json"
	"time"
)

// Node is one instance of a node.
type Node struct {
	Name     string
	Instance string
	BaseURL  string
	Version  string
	Slots    int
	Started  time.Time
	Beat     time.Time // by the node's own clock; zero time: has left
	Left     time.Time
	// Seen is when the heartbeat was seen to change last, and Lapses when the
	// instance counts as dead unless it changes before, both by the clock of this
	// process. Register ignores them.
	Seen, Lapses time.Time
	// Alive: the heartbeat was seen to change within the lease. Register ignores it.
	Alive bool
	// Home is the identity of the instance's data folder; where it is the same,
	// the lock on it proves that an older instance is dead.
	Home     string
	Programs []Program
	// Vitals are what the instance said of its machine last, the JSON of a
	// jobs.Vitals; nil where it has said nothing. Register ignores them.
	Vitals json.RawMessage
}

// Program is an installed program as a node announces it.
type Program struct {
	Name        string          `json:"name"`
	SHA256      string          `json:"sha256"`
	Description string          `json:"description,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"`  // JSON Schema
	Result      json.RawMessage `json:"result,omitempty"` // JSON Schema
	// Problem says why the node cannot start it; empty for a good one.
	Problem string `json:"problem,omitempty"`
}
