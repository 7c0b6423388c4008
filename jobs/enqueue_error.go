package jobs

import (
	"context"
	"errors"
	"strings"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// enqueueError is the error of a job that was not put, or may have been.
type enqueueError struct {
	id    string
	class error // ErrNotPut or ErrMaybePut
	cause error
	ended error // of the caller's context
}

// enqueueFailed returns the error of a job that could not be sent.
func enqueueFailed(ctx context.Context, id string, cause error) error {
	if f, ok := errors.AsType[*Fault](cause); ok { // a node has found it
		return f
	}
	class := ErrNotPut
	if maybePut(cause) {
		class = ErrMaybePut
	}
	return &enqueueError{id: id, class: class, cause: cause, ended: ctx.Err()}
}

// isPutError reports whether an error says what is known of the job.
func isPutError(err error) bool { return errors.Is(err, ErrNotPut) || errors.Is(err, ErrMaybePut) }

// maybePut reports whether a message may have been put after this error of the queue or of
// a durable put. Both say so, and nothing else may have been put.
func maybePut(err error) bool {
	return errors.Is(err, queue.ErrMaybePut) || errors.Is(err, ErrMaybePut)
}

func (e *enqueueError) Error() string {
	text := "jobs: job " + e.id
	if !errors.Is(e.cause, e.class) {
		text += ": " + strings.TrimPrefix(e.class.Error(), "jobs: ")
	}
	return text + ": " + strings.TrimPrefix(e.cause.Error(), "jobs: ")
}

// Is does not take the timeout of a connection for the end of the caller's context.
// Package net does.
func (e *enqueueError) Is(target error) bool {
	if target == context.DeadlineExceeded || target == context.Canceled {
		return errors.Is(e.ended, target)
	}
	return target == e.class || errors.Is(e.cause, target)
}

func (e *enqueueError) As(target any) bool { return errors.As(e.cause, target) }
