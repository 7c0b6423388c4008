package api

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Event is one thing that a node or a person did.
type Event struct {
	ID   string    `json:"id,omitempty"`
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Job  string    `json:"job,omitempty"`
	Node string    `json:"node,omitempty"`
	// By names the person who asked for it; empty if a node did it by itself.
	By      string `json:"by,omitempty"`
	Message string `json:"message"`
}

// EventPage is the answer to GET /api/v1/events, newest first.
type EventPage struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty"` // cursor of the next page
	// Back is how far back in time this page has looked, where that is not
	// plain from its events.
	Back time.Time `json:"back,omitzero"`
}

// JobNews is a `job` event of /api/v1/events: the state of a job that has changed.
// States in between may be left out.
type JobNews struct {
	ID       string     `json:"id"`
	Program  string     `json:"program"`
	State    jobs.State `json:"state"`
	Node     string     `json:"node,omitempty"`
	Attempt  int        `json:"attempt"`
	Progress *float64   `json:"progress,omitempty"`
	Updated  time.Time  `json:"updated"`
}

// NodeNews is a `node` event of /api/v1/events: a node has started, ended or been
// changed by a person. Without a name it is about the whole queue.
type NodeNews struct {
	Name     string    `json:"name"`
	Instance string    `json:"instance,omitempty"`
	Alive    bool      `json:"alive"`
	Drained  bool      `json:"drained"`
	Paused   bool      `json:"paused"`
	Slots    int       `json:"slots"`
	Left     time.Time `json:"left,omitzero"`
}
