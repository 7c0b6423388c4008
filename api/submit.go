package api

import "github.com/runnerbean/runnerbean/jobs"

// MaxSubmitted is how many documents one POST /api/v1/jobs may have in its array.
const MaxSubmitted = 1000

// Submitted is the answer to POST /api/v1/jobs with an array.
type Submitted struct {
	// Refused is how many of the documents were not recorded.
	Refused int `json:"refused"`
	// Jobs has an entry for each document, in the order of the array.
	Jobs []SubmittedJob `json:"jobs"`
}

// SubmittedJob is what became of one document of an array.
type SubmittedJob struct {
	// Status is the HTTP status that the document alone would have got: 201 if it was
	// recorded, 200 if the same job was known already, otherwise that of Error.
	Status int `json:"status"`
	// ID of the job; empty if the document has none that can be read.
	ID string `json:"id,omitempty"`
	// URL of its result, and its State; empty if it was refused.
	URL   string     `json:"url,omitempty"`
	State jobs.State `json:"state,omitempty"`
	// Error says why the document was refused. Its pointer is within the document.
	Error *jobs.Problem `json:"error,omitempty"`
}
