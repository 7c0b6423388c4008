package live

import (
	"github.com/runnerbean/runnerbean/jobs"
)

// Document is a job at one moment, as its result URL answers. It is shared between
// goroutines and must not change.
type Document interface {
	// ID returns the id of the job.
	ID() string
	// State returns the state of the job, or "" if the job is unknown.
	State() jobs.State
	// Version differs between documents of a job with different content.
	Version() string
	// Failed reports whether the job could not be read. An unknown job is no failure.
	Failed() bool
	// Message returns the event of this document, or nil if there is none.
	Message() *Message
	// SharedMessage returns the event of this document, or of why there is none, in a
	// stream with other jobs. It never ends the stream.
	SharedMessage() *Message
}

func same(a, b Document) bool {
	return a.Version() == b.Version() && a.State() == b.State() && a.Failed() == b.Failed()
}

// mayRetry reports whether a person may still retry a job that has ended.
func mayRetry(d Document) bool { return d.State().Final() && d.State() != jobs.Succeeded }
