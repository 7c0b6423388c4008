package api

import "github.com/runnerbean/runnerbean/jobs"

// ProgramDetails is the answer to GET /api/v1/programs/<name>.
type ProgramDetails struct {
	Program
	Window Window `json:"window"`
	// Queue is what waits for it now.
	Queue ProgramQueue `json:"queue"`
	// Ended, Failures and Unfinished are as in an [Overview].
	Ended      map[jobs.State]int64   `json:"ended"`
	Failures   map[jobs.Outcome]int64 `json:"failures"`
	Unfinished map[jobs.Outcome]int64 `json:"unfinished"`
	// Finished is jobs that ended per minute, by final state.
	Finished []Series `json:"finished"`
	// Durations counts succeeded attempts by how long they ran.
	Durations []Bin `json:"durations"`
	// Mean of those, in seconds; 0 where there are none.
	Mean float64 `json:"mean_seconds,omitzero"`
}

// Bin of a histogram: how many were longer than the bin before and at most UpTo
// seconds. The last bin has no end: 0.
type Bin struct {
	UpTo float64 `json:"up_to_seconds"`
	N    int64   `json:"n"`
}

// Programs is the answer to GET /api/v1/programs.
type Programs struct {
	Programs []Program `json:"programs"`
	Next     string    `json:"next,omitempty"` // cursor of the next page
}

// Program is one that a node has announced at some time.
type Program struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// SHA256 is what was announced last.
	SHA256 string `json:"sha256"`
	// Weight is how many jobs it starts in its turn, beside other programs, as was announced
	// last.
	Weight int `json:"weight"`
	// Input and Result are JSON Schemas; null where there are none.
	Input  any `json:"input,omitempty"`
	Result any `json:"result,omitempty"`
	// Nodes are those that are up and have it.
	Nodes []InstalledOn `json:"nodes"`
	// Ended counts the jobs that came to their end in the last 24 hours.
	Ended   map[jobs.State]int64 `json:"ended,omitempty"`
	Queued  int64                `json:"queued"`
	Running int64                `json:"running"`
}

// InstalledOn says which version of a program a node has.
type InstalledOn struct {
	Node   string `json:"node"`
	SHA256 string `json:"sha256"`
	// Problem says why it cannot be started there; empty for a good one.
	Problem string `json:"problem,omitempty"`
}
