package ledger

import (
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/keepspan"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Bounds of a document. A job that exceeds one is refused.
const (
	maxDocument = 1 << 20 // bytes
	maxLabels   = 64
	maxLabel    = 1152 // bytes: what the schema allows in characters, with the key
	maxNeeds    = 1 << 15
)

// Entry is one document to accept. If Fault is set, the job is recorded as failed. If
// Awaits is set, the job waits up to ten minutes for a node to announce its program,
// unless one has; Awaits is the reason shown.
type Entry struct {
	Job      jobs.Job
	Document []byte
	Fault    *jobs.Error
	Awaits   string
	// Submitter is the name of the token that submitted the document. It is empty if the
	// document came by the inbox or if no token was required.
	Submitter string
	Batch     string // id of the batch of which the job is the frame Frame, or ""
	Frame     int
	Loop      string // id of the loop of which the job is the run Run; "" begins a loop if the job repeats
	Run       int
}

// candidate is an Entry with everything prepared that needs no transaction.
type candidate struct {
	entry  *Entry
	record Record
	labels string
	// webhook is the URL that the document wants to be called at the end.
	webhook string
	// target is the URL of the result in the document.
	target string
	err    error
}

func newCandidate(e *Entry) candidate {
	j := &e.Job
	if e.Document == nil {
		e.Document = []byte{}
	}
	c := candidate{entry: e, labels: labelsText(j.Labels), webhook: engine.Clean(j.Webhook, engine.MaxURL), target: engine.Clean(j.Result.URL, engine.MaxURL)}
	c.record = Record{
		ID: j.ID, Program: engine.Clean(j.Program, engine.MaxName), Priority: j.EffectivePriority(),
		Document: e.Document, Labels: j.Labels,
		Created: engine.Trunc(j.Created), NotBefore: engine.Trunc(j.NotBefore), StartAfter: engine.Trunc(j.NotBefore), Expires: engine.Trunc(j.Expires),
		Error: cleanError(e.Fault),
	}
	c.err = c.check()
	return c
}

// keep returns the column keep.
func (c *candidate) keep() string { return c.entry.Job.Keep.String() }

// lookAt returns when retention looks at the job first, in microseconds: it cannot be due
// before. 0 is never.
func (c *candidate) lookAt(accepted time.Time) int64 {
	span := keepspan.Shortest(c.entry.Job.Keep)
	if span == 0 {
		return 0
	}
	return engine.Micros(accepted.Add(span))
}

func (c *candidate) check() error {
	switch {
	case c.entry.Job.ID == "" || len(c.entry.Job.ID) > engine.MaxID || engine.Clean(c.entry.Job.ID, engine.MaxID) != c.entry.Job.ID:
		return fmt.Errorf("id: %w", engine.ErrTooBig)
	case len(c.entry.Document) > maxDocument:
		return fmt.Errorf("document: %w", engine.ErrTooBig)
	case len(c.entry.Job.Needs) > maxNeeds:
		return fmt.Errorf("needs: %w", engine.ErrTooBig)
	case len(c.entry.Job.Labels) > maxLabels:
		return fmt.Errorf("labels: %w", engine.ErrTooBig)
	}
	for k, v := range c.entry.Job.Labels {
		if len(k)+len(v) >= maxLabel {
			return fmt.Errorf("label %q: %w", k, engine.ErrTooBig)
		}
	}
	for _, n := range c.entry.Job.Needs {
		if len(n) > engine.MaxID {
			return fmt.Errorf("needs: %w", engine.ErrTooBig)
		}
	}
	return nil
}

var qInsertLabel = engine.NewQuery("INSERT INTO labels (label, accepted, job) VALUES (?, ?, ?) ON CONFLICT (label, accepted, job) DO NOTHING")

// label writes the labels of a job.
func (c *candidate) label(t *txn, accepted time.Time) error {
	for k, v := range c.entry.Job.Labels {
		if err := t.Queue(qInsertLabel, labelText(k, v), engine.Micros(accepted), c.record.ID); err != nil {
			return err
		}
	}
	return nil
}

func labelText(key, value string) string { return engine.Clean(key+"="+value, maxLabel) }
