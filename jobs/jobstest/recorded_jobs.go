package jobstest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/samejob"
	"github.com/runnerbean/runnerbean/jobs"
)

// recordedJobs are the jobs of a fake, with all their states.
type recordedJobs struct {
	base string // what the result URLs of the fake begin with

	mu      sync.Mutex
	ids     []string // in the order in which they came
	byID    map[string]*recordedJob
	changed chan struct{} // closed and replaced at each change
}

// recordedJob is one job. A stream begins with its first state and not with the present
// one, so that a test sees the same states each time it runs.
type recordedJob struct {
	document []byte
	job      jobs.Job
	states   []jobs.Result
}

func (r *recordedJob) last() jobs.Result { return r.states[len(r.states)-1] }

var (
	errUnknown  = errors.New("no job has this id")
	errOther    = errors.New("the id is known with another document")
	errNotNow   = errors.New("the state of the job does not allow that")
	errTooMany  = fmt.Errorf("a fake takes at most %d jobs, and %d states of each", mostJobs, mostStates)
	mostJobs    = 100_000
	mostStates  = 10_000
	stampLength = time.Microsecond // two states differ in their timestamp
)

func newRecordedJobs() *recordedJobs {
	return &recordedJobs{byID: map[string]*recordedJob{}, changed: make(chan struct{})}
}

// add records a document as a queued job. isNew is false for one that is known with the
// same document.
func (r *recordedJobs) add(document []byte, job jobs.Job) (isNew bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.byID[job.ID]; known != nil {
		return false, r.compare(known.document, document)
	}
	if len(r.ids) >= mostJobs {
		return false, errTooMany
	}
	now := time.Now().UTC()
	queued := jobs.Result{ID: job.ID, Program: job.Program, State: jobs.Queued, Timestamp: now, Created: job.Created, Position: new(int)}
	r.ids = append(r.ids, job.ID)
	r.byID[job.ID] = &recordedJob{slices.Clone(document), job, []jobs.Result{queued}}
	r.tell()
	return true, nil
}

// compare returns an error if a document asks for another job than the first one of its
// id.
func (r *recordedJobs) compare(first, again []byte) error {
	served := func(url string) (bool, error) { return strings.HasPrefix(url, r.base+"/"), nil }
	where, same, err := samejob.Difference(first, again, served)
	if err == nil && !same {
		err = fmt.Errorf("%w: %s differs", errOther, where)
	}
	return err
}

// change gives a job its next state, if its present one is among from.
func (r *recordedJobs) change(id string, from []jobs.State, f func(*jobs.Result)) (jobs.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.byID[id]
	if known == nil {
		return jobs.Result{}, fmt.Errorf("job %q: %w", id, errUnknown)
	}
	next := known.last()
	if !slices.Contains(from, next.State) {
		return next, fmt.Errorf("job %s is %s: %w", id, next.State, errNotNow)
	}
	if len(known.states) >= mostStates {
		return next, errTooMany
	}
	next.Position = nil
	next.Timestamp = later(next.Timestamp)
	f(&next)
	known.states = append(known.states, next)
	r.tell()
	return next, nil
}

// later returns the present time, or a time just after t where the clock has not moved.
func later(t time.Time) time.Time {
	if now := time.Now().UTC(); now.After(t.Add(stampLength)) {
		return now
	}
	return t.Add(stampLength)
}

// tell wakes all who wait. The caller holds the lock.
func (r *recordedJobs) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// since returns the states of a job from number from on, or from its last queueing on if
// from is negative, the number of the state after them, and a channel that is closed at
// the next change.
func (r *recordedJobs) since(id string, from int) (states []jobs.Result, next int, changed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.byID[id]
	if known == nil {
		return nil, from, r.changed, fmt.Errorf("job %q: %w", id, errUnknown)
	}
	if from < 0 {
		for from = len(known.states) - 1; known.states[from].State != jobs.Queued; {
			from--
		}
	}
	return slices.Clone(known.states[from:]), len(known.states), r.changed, nil
}

// get returns a job and its newest state.
func (r *recordedJobs) get(id string) (jobs.Job, jobs.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.byID[id]
	if known == nil {
		return jobs.Job{}, jobs.Result{}, fmt.Errorf("job %q: %w", id, errUnknown)
	}
	return known.job, known.last(), nil
}

// all returns the jobs in the order in which they came.
func (r *recordedJobs) all() []jobs.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]jobs.Job, 0, len(r.ids))
	for _, id := range r.ids {
		list = append(list, r.byID[id].job)
	}
	return list
}
