package api

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Frames is the answer to GET /api/v1/jobs/<id>/frames: frames of a batch, by number or, with
// ?sort=time, those that ran longest first.
type Frames struct {
	Frames []Frame `json:"frames"`
	// Next is the number to give as first for the next page; nil on the last.
	Next *int `json:"next,omitempty"`
}

// Frame is one frame of a batch as it stands.
type Frame struct {
	Number int `json:"number"`
	// ID of its job, and URL of its result.
	ID    string     `json:"id"`
	URL   string     `json:"url"`
	State jobs.State `json:"state"`
	// Attempt is the number of the newest attempt; 0 before the first. Started and Finished
	// are those of that attempt, and Seconds is how long it ran, or has run until now.
	Attempt  int       `json:"attempt"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	Seconds  float64   `json:"seconds,omitzero"`
}
