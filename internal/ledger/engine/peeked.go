package engine

import (
	"fmt"
	"time"
)

// Peeked is what is read of a ledger without opening it.
type Peeked struct {
	// ID is the id of the ledger. It is empty if there is no ledger, or one from before
	// ledgers had ids.
	ID string
	// Store is the id of its store, or empty.
	Store string
	// Schema is the version of the schema. It is 0 if there is no ledger.
	Schema int
	// Instances are those of nodes that have not left.
	Instances []Instance
	// Newest are the ids of the newest successes whose results are not in the ledger, at
	// most 32.
	Newest []string
	// Missing is the need that nobody has put for the longest time, or empty; MissingFor is
	// the job that needs it, since MissingSince, in microseconds.
	Missing, MissingFor string
	MissingSince        int64
	// Reusable is the room inside the file, in bytes. PostgreSQL does not say.
	Reusable int64
}

// Instance is an instance of a node that has not left, as a ledger of any version of the
// schema records it.
type Instance struct {
	ID, Name string
	Version  string // of its program
	Home     string // of its data folder; "" if it has not recorded that
	// Schema is the version of the schema that its program knows; 0 if it has not
	// recorded that. Then it cannot leave for an upgrade by itself.
	Schema int
	Beat   time.Time     // by the clock of the node
	Lease  time.Duration // 0 if it has not recorded that
}

func (i *Instance) String() string {
	if i.Version == "" {
		return "node " + i.Name
	}
	return fmt.Sprintf("node %s (version %s)", i.Name, i.Version)
}
