package publish

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

// compose makes the result document. It has the output as the program wrote it.
func (p *Publication) compose(ctx context.Context, r *Run) ([]byte, error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	head, err := strictjson.Marshal(jobs.Result{
		ID: p.Job.ID, Program: p.record.Program, State: jobs.Succeeded, Timestamp: now,
		Created: p.Job.Created, Started: p.record.Started, Finished: now,
		Attempt: p.record.Attempt, Node: p.cfg.Node,
		Provenance: &jobs.Provenance{ProgramSHA256: r.ProgramSHA256, Inputs: r.Sources},
	})
	if err != nil {
		return nil, fault.OfNode("the result cannot be written", err)
	}
	document := make([]byte, 0, len(head)+len(r.Stdout)+64)
	document = append(document, head[:len(head)-1]...)
	document = append(document, `,"result":`...)
	if document, err = strictjson.AppendValue(document, r.Stdout); err != nil {
		return nil, outputFault(err)
	}
	if err := r.Check(r.Alive); err != nil {
		if r.Alive.Err() != nil {
			return nil, r.Stopped()
		}
		return nil, outputFault(err)
	}
	out := p.output(r.Dir, r.Log, "")
	out.Strict = true
	switch err := out.Collect(ctx); {
	case err != nil && ctx.Err() != nil:
		return nil, r.Stopped()
	case err != nil:
		return nil, err
	}
	if len(out.Artifacts)+len(out.LeftOut()) == 0 {
		return append(document, '}'), nil
	}
	files, err := strictjson.Marshal(api.Output{Artifacts: out.Artifacts, LeftOut: out.LeftOut()})
	if err != nil {
		return nil, fault.OfNode("the result cannot be written", err)
	}
	document = append(document, ',')
	return append(document, files[1:]...), nil
}
