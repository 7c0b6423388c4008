// Package enqueue makes jobs of what a running program asks for: {"enqueue":{…}} among its
// events.
package enqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

const (
	// maxJobs is how many jobs one attempt may make.
	maxJobs = 10_000
	// maxDepth is how many jobs may be above one: its parent, the parent of that, and so on.
	maxDepth = 16
	// maxKey is the length of the longest key, in bytes.
	maxKey = 256
	// keyNeed begins a need that names another job of the same program run by its key.
	keyNeed = "key:"
	// again is how long the node waits before it tries again to record a job.
	again = time.Second
)

// Labels of the jobs that programs make.
const (
	parentLabel = "parent" // id of the job that made it
	familyLabel = "family" // id of the first of its parents
	depthLabel  = "depth"  // how many parents it has
)

// Config of an Enqueuer. All fields are required.
type Config struct {
	// Parent is the job of the running program.
	Parent *jobs.Job
	// Programs are those that the program may enqueue, from its program.json.
	Programs []string
	// Accept records a document. It returns a *jobs.Fault, a ledger.ErrConflict, a
	// *retention.Deleted, or an error that may pass.
	Accept func(ctx context.Context, document []byte) error
	// Log is that of the job.
	Log io.Writer
}

// Enqueuer makes the jobs of one attempt. The ids are made from that of the parent and a key,
// so that the next attempt makes the same jobs.
type Enqueuer struct {
	cfg   Config
	depth int
	n     int
}

// New returns an Enqueuer.
func New(cfg Config) *Enqueuer {
	depth, _ := strconv.ParseUint(cfg.Parent.Labels[depthLabel], 10, 16)
	return &Enqueuer{cfg: cfg, depth: int(depth)}
}

// request is the value of an event's member "enqueue": a key and members of a job document.
type request struct {
	Key         string            `json:"key"`
	Program     string            `json:"program"`
	Input       jsontext.Value    `json:"input"`
	Files       jsontext.Value    `json:"files,omitempty"`
	Priority    jsontext.Value    `json:"priority,omitempty"`
	NotBefore   jsontext.Value    `json:"not_before,omitempty"`
	Expires     jsontext.Value    `json:"expires,omitempty"`
	Timeout     jsontext.Value    `json:"timeout,omitempty"`
	Attempts    jsontext.Value    `json:"attempts,omitempty"`
	Needs       []string          `json:"needs,omitempty"`
	NeedsFailed jsontext.Value    `json:"needs_failed,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Keep        jsontext.Value    `json:"keep,omitempty"`
}

// Enqueue records the job of a request, and returns once it is on the disk. While the ledger
// does not answer or takes no jobs, it tries again until ctx ends. The error is a *fault.Fault
// that fails the attempt.
func (e *Enqueuer) Enqueue(ctx context.Context, raw jsontext.Value) error {
	document, err := e.document(raw)
	if err != nil {
		return refused(err)
	}
	for told := false; ; told = true {
		err := e.cfg.Accept(ctx, document)
		var f *jobs.Fault
		var deleted *retention.Deleted
		switch {
		case err == nil, errors.As(err, &deleted):
			return nil
		case errors.Is(err, ledger.ErrConflict):
			fmt.Fprintf(e.cfg.Log, "runnerbean: %v; the job that an earlier attempt made under this key stands\n", err)
			return nil
		case errors.As(err, &f):
			return refused(f)
		}
		if !told {
			fmt.Fprintf(e.cfg.Log, "runnerbean: a job cannot be enqueued now: %v; it is tried again\n", err)
		}
		if !retry.Sleep(ctx, again) {
			return &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: "a job could not be enqueued: " + err.Error()}
		}
	}
}

func refused(err error) *fault.Fault {
	return &fault.Fault{Outcome: jobs.OutcomeFailed, Message: "a job that the program enqueues is refused: " + err.Error()}
}

// document returns the job document of a request.
func (e *Enqueuer) document(raw jsontext.Value) ([]byte, error) {
	var r request
	if err := json.Unmarshal(raw, &r, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("enqueue must be an object with key, program, input and members of a job: %w", err)
	}
	if e.n++; e.n > maxJobs {
		return nil, fmt.Errorf("a job may enqueue at most %d others", maxJobs)
	}
	switch {
	case r.Key == "" || len(r.Key) > maxKey:
		return nil, fmt.Errorf("key must have 1 to %d bytes: it makes the job the same in the next attempt", maxKey)
	case !slices.Contains(e.cfg.Programs, r.Program):
		return nil, fmt.Errorf("program %q is not in enqueue of the program.json of %s", r.Program, e.cfg.Parent.Program)
	case e.depth >= maxDepth:
		return nil, fmt.Errorf("%d jobs are above this one already, which is the most", e.depth)
	}
	return json.Marshal(e.job(&r), json.Deterministic(true))
}

// job returns the members of the job document.
func (e *Enqueuer) job(r *request) map[string]any {
	parent := e.cfg.Parent
	labels := map[string]string{}
	for name, value := range r.Labels {
		labels[name] = value
	}
	labels[parentLabel], labels[depthLabel] = parent.ID, strconv.Itoa(e.depth+1)
	if labels[familyLabel] = parent.Labels[familyLabel]; labels[familyLabel] == "" {
		labels[familyLabel] = parent.ID
	}
	id := e.id(r.Key)
	document := map[string]any{
		"id": id, "program": r.Program, "labels": labels,
		"result": map[string]string{"url": strings.TrimSuffix(parent.Result.URL, parent.ID) + id},
	}
	if len(r.Needs) > 0 {
		needs := make([]string, len(r.Needs))
		for i, need := range r.Needs {
			if needs[i] = need; strings.HasPrefix(need, keyNeed) {
				needs[i] = e.id(strings.TrimPrefix(need, keyNeed))
			}
		}
		document["needs"] = needs
	}
	if r.Priority == nil && parent.Priority != nil {
		document["priority"] = *parent.Priority
	}
	for name, value := range map[string]jsontext.Value{
		"input": r.Input, "files": r.Files, "priority": r.Priority, "not_before": r.NotBefore, "expires": r.Expires,
		"timeout": r.Timeout, "attempts": r.Attempts, "needs_failed": r.NeedsFailed, "keep": r.Keep,
	} {
		if value != nil {
			document[name] = value
		}
	}
	return document
}

func (e *Enqueuer) id(key string) string { return jobs.DerivedID(e.cfg.Parent.ID, "enqueue/"+key) }
