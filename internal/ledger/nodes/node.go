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
	Beat     time.Time // by the clock of the node; zero after it has left
	Left     time.Time
	// Seen is when the heartbeat was last seen to change. At Lapses the instance is dead
	// unless the heartbeat changes before. Both are by the clock of this process.
	// Register ignores them.
	Seen, Lapses time.Time
	// Lease is the time without a heartbeat after which the instance is dead. It is that of
	// its own process. Register ignores it.
	Lease time.Duration
	// Alive means that the heartbeat was seen to change within the lease. Register
	// ignores it.
	Alive bool
	// Home is the identity of the data folder of the instance. If it is the same, the
	// lock on the folder proves that an older instance is dead.
	Home     string
	Programs []Program
	// Settings are those that nodes of a pool should have alike, by name. Keys are there by
	// their fingerprints. It is nil for a program from before they were recorded.
	Settings map[string]string
	// Vitals is the JSON of the last api.Vitals of the instance, or nil. Register
	// ignores it.
	Vitals json.RawMessage
}

// Program is an installed program as a node announces it.
type Program struct {
	Name        string          `json:"name"`
	SHA256      string          `json:"sha256"`
	Description string          `json:"description,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"`  // JSON Schema
	Result      json.RawMessage `json:"result,omitempty"` // JSON Schema
	// Weight is how many jobs it starts in its turn, beside other programs. 0 means 1: an
	// older node announces none.
	Weight int `json:"weight,omitempty"`
	// Keep says how long jobs of the program are kept, as jobs.Keep writes it.
	Keep string `json:"keep,omitempty"`
	// Checkpoint is whether it saves a checkpoint on request.
	Checkpoint bool `json:"checkpoint,omitempty"`
	// Problem says why the node cannot start it. Empty for a good one.
	Problem string `json:"problem,omitempty"`
}
