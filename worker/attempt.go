package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/process"
)

// Why the context of an attempt may end.
var (
	errAsked       = errors.New("a person has asked for it")
	errInterrupted = errors.New("the node was shut down")
	// errStale ends an attempt that is not the job's newest any more.
	errStale = errors.New("the ledger has given the job to another attempt")
)

// Exit codes by which a program says more than that it failed.
const (
	exitFailed = 65 // EX_DATAERR
	exitLater  = 75 // EX_TEMPFAIL
)

// attempt is one run of one job in a lane.
type attempt struct {
	*Worker
	lane    *lane
	logger  *slog.Logger
	record  ledger.Record
	program *program
	job     jobs.Job
	start   time.Time
	// cancel ends the attempt, and gives its program time for that; kill ends the
	// program at once.
	cancel, kill context.CancelCauseFunc
	killed       context.Context
	alive        context.Context              // ends with cancel
	verb         atomic.Pointer[ledger.Verb]  // what a person has asked for
	panic        atomic.Pointer[panics.Error] // in another goroutine

	span       span
	began, ran time.Time     // of the program; zero until then
	checked    time.Duration // what checks against schemas took

	dir     string // working directory
	sources []jobs.Source
	fetched bool // all inputs are there
	log     process.Log
	series  series
	handle  process.Handle
	exit    *process.Exit // nil until the program has run
	stored  []string      // keys of artifacts
	// document is the result as it was published.
	document []byte
}

// run takes the attempt from the fetch to the published result. The error is
// nil for a success, errStale, or a *fault.
func (a *attempt) run(ctx context.Context) error {
	if a.misled() {
		return &fault{outcome: jobs.OutcomeInterrupted, message: "its message was on the run tube of program " + a.program.about.Name}
	}
	var err error
	if a.job, err = jobs.Read(a.record.Document); err != nil {
		return &fault{outcome: jobs.OutcomeInput, message: "the job document cannot be read: " + err.Error()}
	}
	if a.record.Attempt > 1 {
		if err := a.adopt(ctx); !errors.Is(err, errNothing) {
			return err
		}
	}
	err = a.runProgram(ctx)
	if ctx.Err() != nil && !a.done() {
		return a.stopped(ctx)
	}
	if err != nil {
		// An earlier attempt that was given up may have published meanwhile.
		if a.record.Attempt > 1 && a.adopt(ctx) == nil {
			return nil
		}
		return err
	}
	long, cancel := outlive(ctx, settleTime)
	defer cancel()
	return a.publish(long)
}

// misled reports whether the message was about another program than the job is.
func (a *attempt) misled() bool { return a.record.Program != a.program.about.Name }

// done reports whether the program came to its end by itself.
func (a *attempt) done() bool { return a.exit != nil && !a.exit.Cancelled && !a.exit.Killed }

// obey stops the attempt as a person has asked. What they ask later counts,
// also while the program is being stopped.
func (a *attempt) obey(verb ledger.Verb) {
	a.verb.Store(&verb)
	if verb != ledger.VerbCancel {
		a.kill(errAsked)
	}
	a.cancel(errAsked)
}

func (a *attempt) asked() ledger.Verb {
	if verb := a.verb.Load(); verb != nil {
		return *verb
	}
	return ""
}

// stopped says why the context of the attempt has ended.
func (a *attempt) stopped(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStale):
		return errStale
	case a.asked() == ledger.VerbReset:
		return &fault{outcome: jobs.OutcomeInterrupted, message: "reset while it ran"}
	case a.asked() == ledger.VerbTerminate:
		return &fault{outcome: jobs.OutcomeCancelled, message: "terminated while it ran"}
	case a.asked() != "":
		return &fault{outcome: jobs.OutcomeCancelled, message: "cancelled while it ran"}
	}
	return &fault{outcome: jobs.OutcomeInterrupted, message: "interrupted: node " + a.cfg.Node + " was shut down"}
}

// runProgram fetches the inputs and runs the program on them.
func (a *attempt) runProgram(ctx context.Context) error {
	if problem := a.program.about.Problem; problem != "" {
		return a.cannotStart(ctx, problem)
	}
	var err error
	if a.dir, err = a.lane.scratch.open(); err != nil {
		return nodeFault("no scratch folder", err)
	}
	in, err := a.fetchInput(ctx)
	defer in.close()
	if err != nil {
		return err
	}
	if err := a.fetchFiles(ctx); err != nil {
		return err
	}
	a.fetched = true
	current, err := a.programs.verify(a.program)
	if err != nil {
		return &fault{outcome: jobs.OutcomeInterrupted, message: "program " + a.record.Program + ": " + err.Error(), program: true}
	}
	if problem := current.about.Problem; problem != "" {
		return a.cannotStart(ctx, problem)
	}
	a.program = current
	return a.exec(ctx, &in)
}

func (a *attempt) exec(ctx context.Context, in *input) error {
	if ctx.Err() != nil {
		return a.stopped(ctx)
	}
	if _, err := in.reader(); err != nil {
		return nodeFault("the input cannot be read", err)
	}
	a.pass("start")
	live := a.reporter(ctx)
	unwatch := a.watchScratch(a.room())
	a.span, a.began = newSpan(a.job.Traceparent), time.Now()
	exit, err := process.Run(ctx, process.Spec{
		Path: a.program.path, Env: a.environment(), Dir: a.dir,
		Stdin: in.data, StdinFile: in.file, MaxStdout: a.cfg.MaxStdout,
		Log: &a.log, Event: live.event, Timeout: max(a.timeout()-a.checked, time.Millisecond), Stall: a.stall(), Grace: a.cfg.Grace, Kill: a.killed,
		Pause: a.gate, Handle: &a.handle,
		MemoryLimit: a.memory(), FileSize: a.room(), OpenFiles: a.cfg.MaxOpenFiles,
	})
	a.ran = time.Now()
	unwatch()
	a.lane.leave()
	live.stop()
	if err != nil {
		return a.notStarted(ctx, err)
	}
	a.exit = &exit
	if exit.EventsDropped > 0 {
		fmt.Fprintf(&a.log, "runnerbean: %d event lines were too long and are ignored\n", exit.EventsDropped)
	}
	a.pass("output")
	return a.judge(exit)
}

// notStarted is the end of an attempt without a program: a node that was paused
// before it could start may have had a reason to kill it meanwhile.
func (a *attempt) notStarted(ctx context.Context, err error) error {
	a.span, a.began = span{}, time.Time{}
	switch {
	case a.killed.Err() != nil:
		return a.killedHere()
	case a.byNode(err):
		return nodeFault("program "+a.record.Program, err)
	}
	return a.startFault(ctx, err)
}

// judge makes of the way in which a program ended the end of the attempt.
func (a *attempt) judge(exit process.Exit) error {
	f := &fault{outcome: jobs.OutcomeError}
	switch {
	case exit.Killed:
		return a.killedHere()
	case exit.Cancelled:
		f.outcome, f.message = jobs.OutcomeInterrupted, "stopped"
	case exit.Stalled:
		f.outcome, f.message = jobs.OutcomeStalled, fmt.Sprintf("it stalled: for %s there was no output, no event and no CPU time", a.stall())
	case exit.TimedOut:
		f.outcome, f.message = jobs.OutcomeTimeout, fmt.Sprintf("it ran longer than %s", a.timeout())
	case exit.StdoutTooBig:
		f.message = fmt.Sprintf("it wrote more than %s to stdout (RUNNERBEAN_MAX_RESULT); leave what is larger as files in out", Size(a.cfg.MaxStdout))
		f.final = true
	case exit.Code == 0:
		return nil
	case exit.OutOfMemory:
		f.outcome, f.message = jobs.OutcomeKilled, a.overMemory()
	case exit.Signal != 0:
		f.outcome, f.message = jobs.OutcomeKilled, a.killedBy(exit.Signal)
		f.final = exit.Signal == unix.SIGXFSZ // another attempt would write as much
	case exit.Code == exitFailed:
		f.outcome, f.message = jobs.OutcomeFailed, a.lastLine("it ended with exit code 65 and said nothing")
	case exit.Code == exitLater:
		f.message = "it asked to be run again later (exit code 75)" + a.lastWords()
	default:
		f.message = fmt.Sprintf("exit code %d", exit.Code) + a.lastWords()
	}
	return f
}

// lastWords is the line of the log that names the error.
func (a *attempt) lastWords() string { return after(errorLine(a.rendered())) }

func after(words string) string {
	if words == "" {
		return ""
	}
	return ": " + words
}

// lastLine is the last line of the log that says anything.
func (a *attempt) lastLine(none string) string {
	if line := logtext.Line(a.logTail()); line != "" {
		return line
	}
	return none
}

// logTail is the end of the log for an error, as a terminal shows it.
func (a *attempt) logTail() string {
	return logtext.Last(a.rendered(), maxLogTail)
}

// rendered is the end of the log as a terminal shows it.
func (a *attempt) rendered() string {
	if a.log.Total() == 0 {
		return ""
	}
	return logtext.Render(string(a.log.Tail(maxRendered)))
}

// settleTime is how long what must be written after the end of a context may
// take.
const settleTime = 30 * time.Second

// outlive returns a context that ends d after ctx has ended.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return long, func() { unhook(); cancel() }
}
