package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

// Frame is the document of a job of a batch.
type Frame struct {
	Number   int // or batches.Bundle
	Document []byte
	// ID, Program and ResultURL are those of the job, of which the document may be unreadable.
	ID, Program, ResultURL string
}

// AcceptFrames records frames of a batch in one transaction, and puts messages for those that
// are runnable. A frame whose document has a fault is a failed job. Frames that the ledger
// holds, or that were deleted, change nothing. The error is a *[Held] while no new jobs are
// accepted. It is an [ledger.ErrConflict] if the id of a frame is that of another job; the other
// frames are recorded.
func (d *Dispatcher) AcceptFrames(ctx context.Context, batch, submitter string, frames []Frame) error {
	if err := d.gate.err(); err != nil {
		return err
	}
	entries := make([]ledger.Entry, len(frames))
	for i := range frames {
		entry, err := d.intake.entrySafely(ctx, frames[i].Document)
		if fault, ok := errors.AsType[*jobs.Fault](err); ok {
			entry, err = frames[i].failed(fault), nil
		}
		if err != nil {
			return fmt.Errorf("frame %d: %w", frames[i].Number, err)
		}
		entry.Submitter, entry.Batch, entry.Frame = submitter, batch, frames[i].Number
		entries[i] = entry
	}
	accepted, err := d.documents.record(ctx, entries)
	if err != nil {
		return err
	}
	var errs []error
	for i, a := range accepted {
		if a.Err != nil && !errors.Is(a.Err, retention.ErrDeleted) {
			errs = append(errs, fmt.Errorf("frame %d: %w", frames[i].Number, a.Err))
		}
	}
	return errors.Join(errs...)
}

// failed returns the entry of a frame whose document cannot be read, for instance because it is
// too large. The document itself is not kept.
func (f *Frame) failed(fault *jobs.Fault) ledger.Entry {
	return ledger.Entry{
		Job:   jobs.Job{ID: f.ID, Program: f.Program, Result: jobs.Target{URL: f.ResultURL}},
		Fault: &jobs.Error{Class: jobs.ClassDocument, Message: fault.Message, Pointer: fault.Pointer},
	}
}
