package worker

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/stream"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// Exit codes by which a program says more than that it failed.
const (
	exitFailed = 65 // EX_DATAERR
	exitLater  = 75 // EX_TEMPFAIL
	exitSaved  = 85 // it goes on from its checkpoint
)

// verdict returns the fault of a program that ended; nil if it ended well. log is its
// log as a terminal shows it.
func verdict(exit *process.Exit, l *limits, log string) error {
	f := &fault.Fault{Outcome: jobs.OutcomeError}
	switch {
	case exit.Cancelled:
		f.Outcome, f.Message = jobs.OutcomeInterrupted, "stopped"
	case exit.Stalled:
		f.Outcome, f.Message = jobs.OutcomeStalled, fmt.Sprintf("it stalled: for %s there was no output, no event and no CPU time", l.stall)
	case exit.TimedOut:
		f.Outcome, f.Message = jobs.OutcomeTimeout, fmt.Sprintf("it ran longer than %s", l.timeout)
	case exit.StdoutTooBig:
		f.Message = fmt.Sprintf("it wrote more than %s to stdout (RUNNERBEAN_MAX_RESULT); leave what is larger as files in out", bytesize.Size(l.stdout))
		f.Final = true
	case exit.Code == 0:
		return nil
	case exit.OutOfMemory:
		f.Outcome, f.Message = jobs.OutcomeKilled, overMemory(l.memory)
	case exit.Signal != 0:
		f.Outcome, f.Message = jobs.OutcomeKilled, killedBy(exit.Signal, l.scratch, log)
		f.Final = exit.Signal == unix.SIGXFSZ // another attempt would write as much
	case exit.Code == exitFailed:
		f.Outcome, f.Message = jobs.OutcomeFailed, logtext.Line(logtext.Last(log, maxLogTail))
		if f.Message == "" {
			f.Message = "it ended with exit code 65 and said nothing"
		}
	case exit.Code == exitLater:
		f.Message = "it asked to be run again later (exit code 75)" + after(logtext.ErrorLine(log))
	case exit.Code == exitSaved:
		f.Outcome, f.Saved = jobs.OutcomeInterrupted, true
		f.Message = "it has saved a checkpoint and asked to be run again (exit code 85)"
	default:
		f.Message = fmt.Sprintf("exit code %d", exit.Code) + after(logtext.ErrorLine(log))
	}
	return f
}

// streamVerdict returns the fault of a job that a stream program ended; nil for a result.
func streamVerdict(out *stream.Outcome, l *limits, log string) error {
	f := &fault.Fault{Outcome: jobs.OutcomeError}
	exit := &out.Exit
	switch {
	case out.Wrong != nil:
		f.Message = out.Wrong.Error()
	case out.Failure != nil:
		if f.Message = out.Failure.Message; f.Message == "" {
			f.Message = "it answered with an error without a message"
		}
		if out.Failure.Final {
			f.Outcome = jobs.OutcomeFailed
		}
	case out.Answered:
		exit.StdoutTooBig = int64(len(exit.Stdout)) > l.stdout
		return verdict(exit, l, log)
	case exit.StdoutTooBig:
		f.Message = fmt.Sprintf("it wrote more than %s to stdout without the end of a line (RUNNERBEAN_MAX_RESULT)", bytesize.Size(l.stdout))
	case exit.Code == 0 && !exit.Cancelled && !exit.Stalled && !exit.TimedOut:
		f.Message = "it ended with exit code 0 and did not answer"
	case exit.Code == exitSaved && !exit.Cancelled && !exit.Stalled && !exit.TimedOut:
		f.Message = "exit code 85; stream programs have no checkpoints" + after(logtext.ErrorLine(log))
	default:
		return verdict(exit, l, log)
	}
	return f
}

// killedHere returns the fault of a program that this node has killed. If its files are
// too large, another attempt would be killed, too.
func killedHere(killed context.Context) error {
	cause := context.Cause(killed)
	if known, is := errors.AsType[*fault.Fault](cause); is {
		return known
	}
	_, over := errors.AsType[*workdir.Excess](cause)
	return &fault.Fault{Outcome: jobs.OutcomeKilled, Final: over, Message: cause.Error()}
}

// killedBy returns what a signal that the node did not send may mean.
func killedBy(s syscall.Signal, scratch int64, log string) string {
	text := fmt.Sprintf("it was killed by signal %d (%s)", int(s), s)
	switch {
	case s == syscall.SIGXFSZ && scratch > 0:
		text += fmt.Sprintf("; a file may have at most %s here", bytesize.Size(scratch))
	case s == syscall.SIGKILL:
		text += "; if nobody did that, it may have been for its memory"
	case s == syscall.SIGABRT, s == syscall.SIGSEGV, s == syscall.SIGBUS, s == syscall.SIGFPE, s == syscall.SIGILL, s == syscall.SIGTRAP:
		text += after(logtext.NamedError(log))
	}
	return text
}

// overMemory returns why the kernel killed a process of the program.
func overMemory(limit int64) string {
	if limit > 0 {
		return fmt.Sprintf("it needed more memory than the %s that it may have", bytesize.Size(limit))
	}
	return "it was killed because this machine ran out of memory"
}

// after returns words to append to a message.
func after(words string) string {
	if words == "" {
		return ""
	}
	return ": " + words
}
