package worker

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// persistTries is how often something is stored before the attempt gives up.
const persistTries = 4

// publish makes the program's output the result of the job, unless there is
// one already: the first one wins. An attempt that the ledger has given up
// publishes nothing.
func (a *attempt) publish(ctx context.Context) error {
	document, err := a.compose(ctx)
	if err != nil {
		a.drop(context.WithoutCancel(ctx), a.stored)
		return err
	}
	if err := a.fence(ctx); err != nil {
		if errors.Is(err, errStale) {
			a.stray(ctx, document)
		}
		return err
	}
	err = a.persist(ctx, func() error {
		return a.cfg.Store.Create(ctx, store.ResultKey(a.job.ID), document)
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return a.second(ctx, document)
	case err != nil:
		return nodeFault("the result cannot be stored", err)
	}
	a.compareStrays(ctx, document)
	a.document = document
	return nil
}

// persist tries to store something; a disk that is full now may not be so in a
// moment, and the work has been done.
func (a *attempt) persist(ctx context.Context, write func() error) error {
	for try := 1; ; try++ {
		err := write()
		if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, store.ErrTooBig) || errors.Is(err, store.ErrReopen) {
			return err
		}
		if try == persistTries || !sleep(ctx, a.backoff.wait(try)) {
			return err
		}
	}
}

// compose makes the result document, with the output as the program wrote it.
func (a *attempt) compose(ctx context.Context) ([]byte, error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	head, err := marshal(jobs.Result{
		ID: a.job.ID, Program: a.record.Program, State: jobs.Succeeded, Timestamp: now,
		Created: a.job.Created, Started: a.record.Started, Finished: now,
		Attempt: a.record.Attempt, Node: a.cfg.Node,
		Provenance: &jobs.Provenance{ProgramSHA256: a.program.about.SHA256, Inputs: a.sources},
	})
	if err != nil {
		return nil, nodeFault("the result cannot be written", err)
	}
	document := make([]byte, 0, len(head)+len(a.exit.Stdout)+64)
	document = append(document, head[:len(head)-1]...)
	document = append(document, `,"result":`...)
	if document, err = appendValue(document, a.exit.Stdout); err != nil {
		return nil, outputFault(err)
	}
	if err := a.checkResult(a.alive); err != nil {
		if a.alive.Err() != nil {
			return nil, a.stopped(a.alive)
		}
		return nil, outputFault(err)
	}
	out, err := a.artifacts(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, a.stopped(a.alive)
	case err != nil:
		return nil, err
	}
	files, err := marshal(jobs.Output{Artifacts: out.list, LeftOut: out.leftOut()})
	if err != nil {
		return nil, nodeFault("the result cannot be written", err)
	}
	if len(files) > len("{}") {
		document = append(document, ',')
	}
	return append(document, files[1:]...), nil
}

// marshal is compact JSON as browsers and people read it, <, > and & included.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := stdjson.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// note records an event of the job.
func (a *attempt) note(ctx context.Context, kind, message string) {
	e := eventlog.Event{Kind: kind, Job: a.record.ID, Node: a.cfg.Node, Message: clean(message, maxMessage)}
	a.logger.Warn(e.Message, "event", kind)
	if err := a.cfg.Events.Note(ctx, e); err != nil {
		a.logger.Warn("event not recorded", "event", kind, "err", err)
	}
}
