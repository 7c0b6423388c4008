package worker

import (
	"context"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/checkpoint"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// leastCheck is the least time for the check of a result, so that the work of a program
// that ended just in time is not lost.
const leastCheck = 10 * time.Second

// resources are what an executor lends to an attempt.
type resources struct {
	scratch *workdir.Scratch
	slot    chan struct{} // full while the slot is taken
	holds   bool          // the slot
}

// enterSlot waits for the slot. It returns false if ctx ends first.
func (r *resources) enterSlot(ctx context.Context) bool {
	select {
	case r.slot <- struct{}{}:
		r.holds = true
	case <-ctx.Done():
	}
	return r.holds
}

// leaveSlot gives the slot back, if the executor has it.
func (r *resources) leaveSlot() {
	if r.holds {
		r.holds = false
		<-r.slot
	}
}

// attempt is one run of one job, from its claim to its end.
type attempt struct {
	logger  *slog.Logger
	record  ledger.Record
	program *program.Program
	start   time.Time
	stop    *stopper
	res     *resources

	job         jobs.Job // empty until it is read
	limits      limits
	budget      strictjson.Budget // of limits.timeout
	fetched     bool              // all inputs are there
	sources     []jobs.Source
	run         programRun
	publication *publish.Publication
	checkpoints *checkpoint.Keeper                // nil for none
	keeper      atomic.Pointer[checkpoint.Keeper] // checkpoints, for other goroutines
	once        sync.Once                         // for the log: its program does not save for a drain
	restored    bool                              // a checkpoint, before the program started
}

// misrouted reports whether the message was on the run tube of another program.
func (a *attempt) misrouted() bool { return a.record.Program != a.program.About.Name }

// limit sets the limits by the job and its program.
func (a *attempt) limit(c *Config) {
	a.limits = limitsOf(c, &a.job, &a.program.Manifest)
	a.budget.Limit = a.limits.timeout
}

// checkResult checks what the program printed against the schema of its results.
func (a *attempt) checkResult(ctx context.Context) error {
	schema := a.program.Manifest.ResultSchema
	if schema == nil {
		return nil
	}
	return a.budget.Check(ctx, min(leastCheck, a.limits.timeout), func(ctx context.Context) error {
		return schema.Check(ctx, a.run.exit.Stdout)
	})
}

// environment returns all environment variables of the program, for one of several slots.
// Those of one job are not for stream programs. dir is the working directory.
func (a *attempt) environment(dir, scratch string, slots int) []string {
	defaults := []string{
		"LANG=C.UTF-8",
		"HOME=" + dir,
		"TMPDIR=" + dir + "/tmp",
		"RUNNERBEAN_PROGRAM=" + a.record.Program,
		scratchEntry(scratch),
	}
	if !a.program.Manifest.Stream() {
		defaults = append(defaults,
			"RUNNERBEAN_JOB_ID="+a.job.ID,
			"RUNNERBEAN_ATTEMPT="+strconv.Itoa(a.record.Attempt),
			"RUNNERBEAN_RESULT_URL="+a.job.Result.URL)
		if a.restored {
			defaults = append(defaults, "RUNNERBEAN_RESTORED=1")
		}
		if a.run.span.parent != "" {
			defaults = append(defaults, "TRACEPARENT="+a.run.span.parent)
		}
	}
	return a.program.Manifest.Environ(defaults, max(1, runtime.NumCPU()/max(1, slots)))
}
