package worker

import "github.com/runnerbean/runnerbean/internal/ledger"

// Installed is one entry of a programs folder.
type Installed struct {
	Name    string
	Program ledger.Program
	// Err says why the program cannot be used; nil for a good one.
	Err error
}

// Inspect looks at every program in a folder, by name. The error is for a
// folder that cannot be read.
func Inspect(dir string) ([]Installed, error) { return nil, nil }
