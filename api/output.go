package api

import "github.com/runnerbean/runnerbean/jobs"

// MaxOutputs is for how many of the newest unsuccessful attempts of a job the files
// in out/ are kept.
const MaxOutputs = 3

// Output is what is kept of the files that an attempt left in out/.
type Output struct {
	Attempt   int             `json:"attempt,omitzero"`
	Artifacts []jobs.Artifact `json:"artifacts,omitempty"`
	LeftOut   []jobs.LeftOut  `json:"left_out,omitempty"`
}
