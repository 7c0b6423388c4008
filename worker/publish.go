package worker

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxDocument is the largest result that is read back, in bytes.
const maxDocument = 512 << 20

// persistTries is how often something is stored before the attempt gives up.
const persistTries = 4

var errNothing = errors.New("nothing is published yet")

// publish makes the program's output the result of the job, unless there is
// one already: the first one wins.
func (a *attempt) publish(ctx context.Context) error {
	document, err := a.compose(ctx)
	if err != nil {
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
	a.document = document
	a.deliver(ctx, document)
	return nil
}

// persist tries to store something; a disk that is full now may not be so in a
// moment, and the work has been done.
func (a *attempt) persist(ctx context.Context, write func() error) error {
	for try := 1; ; try++ {
		err := write()
		if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, store.ErrTooBig) {
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
	if err := validate(a.program.manifest.result, bytes.NewReader(a.exit.Stdout)); err != nil {
		return nil, outputFault(err)
	}
	artifacts, err := a.artifacts(ctx)
	if err != nil {
		return nil, err
	}
	return a.complete(document, artifacts)
}

func (a *attempt) complete(document []byte, artifacts []jobs.Artifact) ([]byte, error) {
	if len(artifacts) == 0 {
		return append(document, '}'), nil
	}
	list, err := marshal(artifacts)
	if err != nil {
		return nil, nodeFault("the result cannot be written", err)
	}
	document = append(document, `,"artifacts":`...)
	return append(append(document, list...), '}'), nil
}

// marshal is compact JSON as browsers and people read it, <, > and & included.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := stdjson.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// outputFault is the end of an attempt whose stdout is not one good JSON value.
func outputFault(err error) error {
	f := &fault{outcome: jobs.OutcomeError}
	var wrong *mismatch
	switch {
	case errors.As(err, &wrong):
		f.message, f.pointer = "the result is not what program.json promises: "+wrong.Error(), wrong.pointer
	case errors.Is(err, errEmpty):
		f.message = "it ended well but wrote nothing to stdout, where its result, one JSON value, is expected"
	default:
		f.message = "stdout must be exactly one JSON value: " + err.Error()
	}
	return f
}

// published is what two results of one job are compared by.
type published struct {
	ID        string          `json:"id"`
	State     jobs.State      `json:"state"`
	Attempt   int             `json:"attempt"`
	Result    jsontext.Value  `json:"result"`
	Artifacts []jobs.Artifact `json:"artifacts"`
}

func (p published) equal(q published) bool {
	return bytes.Equal(p.Result, q.Result) && slices.EqualFunc(p.Artifacts, q.Artifacts,
		func(a, b jobs.Artifact) bool { return a.Name == b.Name && a.Size == b.Size && a.SHA256 == b.SHA256 })
}

// adopt takes the result that an earlier attempt published before it died;
// errNothing if there is none.
func (a *attempt) adopt(ctx context.Context) error {
	document, _, err := a.readPublished(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return errNothing
	}
	if err != nil {
		return nodeFault("the result of an earlier attempt cannot be read", err)
	}
	a.document = document
	a.deliver(ctx, document)
	return nil
}

func (a *attempt) readPublished(ctx context.Context) ([]byte, published, error) {
	var p published
	object, err := a.cfg.Store.Open(ctx, store.ResultKey(a.job.ID))
	if err != nil {
		return nil, p, err
	}
	defer object.Close()
	document, err := io.ReadAll(io.LimitReader(object, maxDocument))
	if err != nil {
		return nil, p, err
	}
	if err := json.Unmarshal(document, &p); err != nil {
		return nil, p, err
	}
	if p.ID != a.job.ID || p.State != jobs.Succeeded {
		return nil, p, fmt.Errorf("it is not a result of job %s", a.job.ID)
	}
	return document, p, nil
}

// second comes after a result that is published already: an equal one changes
// nothing, another one is kept aside.
func (a *attempt) second(ctx context.Context, document []byte) error {
	first, before, err := a.readPublished(ctx)
	if err != nil {
		return nodeFault("the result that is published already cannot be read", err)
	}
	var now published
	if err := json.Unmarshal(document, &now); err != nil {
		return nodeFault("the result cannot be read", err)
	}
	if !before.equal(now) {
		a.conflict(ctx, document, before.Attempt)
	}
	a.document = first
	a.deliver(ctx, first)
	return nil
}

func (a *attempt) conflict(ctx context.Context, document []byte, winner int) {
	key := store.AsideKey(a.job.ID, a.record.Attempt)
	message := fmt.Sprintf("attempt %d gave another result than attempt %d, which stays; the other one is kept as %s", a.record.Attempt, winner, key)
	if err := a.cfg.Store.Create(ctx, key, document); err != nil && !errors.Is(err, fs.ErrExist) {
		message = fmt.Sprintf("attempt %d gave another result than attempt %d, which stays; the other one could not be kept: %v", a.record.Attempt, winner, err)
	}
	if a.program.manifest.Deterministic {
		message += "; program.json says that the program is deterministic"
	}
	a.note(ctx, "conflict", message)
}

// note records an event of the job.
func (a *attempt) note(ctx context.Context, kind, message string) {
	e := ledger.Event{Kind: kind, Job: a.record.ID, Node: a.cfg.Node, Message: clean(message, maxMessage)}
	a.logger.Warn(e.Message, "job", e.Job, "event", kind)
	if err := a.cfg.Ledger.Note(ctx, e); err != nil {
		a.logger.Warn("event not recorded", "job", e.Job, "event", kind, "err", err)
	}
}
