package jobs

import "time"

// JobNews is a `job` event of /api/v1/events: how a job stands after it has
// changed. States that it passed through in between may be left out.
type JobNews struct {
	ID       string    `json:"id"`
	Program  string    `json:"program"`
	State    State     `json:"state"`
	Node     string    `json:"node,omitempty"`
	Attempt  int       `json:"attempt"`
	Progress *float64  `json:"progress,omitempty"`
	Updated  time.Time `json:"updated"`
}

// NodeNews is a `node` event of /api/v1/events: a node has come, gone or been
// told something. Without a name it is about the whole queue.
type NodeNews struct {
	Name     string    `json:"name"`
	Instance string    `json:"instance,omitempty"`
	Alive    bool      `json:"alive"`
	Drained  bool      `json:"drained"`
	Paused   bool      `json:"paused"`
	Slots    int       `json:"slots"`
	Left     time.Time `json:"left,omitzero"`
}
