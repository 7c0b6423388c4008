package jobs

import (
	"errors"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// Errors of a Client, to be tested with errors.Is. Every error of Enqueue and
// EnqueueBatch is either ErrNotPut or ErrMaybePut; the others say why.
var (
	// ErrNotPut means that the job was not put. It will not run.
	ErrNotPut = errors.New("jobs: not put")
	// ErrMaybePut means that the job may have been put: its answer was lost. Enqueue the
	// returned job again, whose id is the same.
	ErrMaybePut = errors.New("jobs: may have been put")
	// ErrInvalid means that the job has a fault. The error is a [*Fault].
	ErrInvalid = errors.New("jobs: invalid job")
	// ErrOverloaded means that the servers cannot take the job in the time that is left.
	ErrOverloaded = queue.ErrOverloaded
	// ErrClosed means that the Client is closed.
	ErrClosed = queue.ErrClosed
	// ErrTooBig is returned for a document over the limit: give a large input
	// by its URL.
	ErrTooBig = queue.ErrTooBig
	// ErrDraining is returned if all servers are in drain mode.
	ErrDraining = queue.ErrDraining
	// ErrFull is returned if a server has no memory or disk for the job.
	ErrFull = queue.ErrFull
	// ErrConflict means that the id is known with another document or, for a verb, that
	// the state of the job does not allow it.
	ErrConflict = errors.New("jobs: conflict")
	// ErrUnknown means that no node knows the job (404) or that it was deleted (410). The
	// error is a [*Problem].
	ErrUnknown = errors.New("jobs: unknown job")
	// ErrNotSucceeded is the error of [Result.Decode] for a job that has not succeeded.
	ErrNotSucceeded = errors.New("has not succeeded")
)
