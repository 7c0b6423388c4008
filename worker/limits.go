package worker

import (
	"fmt"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// timeout is what one attempt may take.
func (a *attempt) timeout() time.Duration {
	for _, d := range []jobs.Duration{a.job.Timeout, a.program.manifest.Timeout} {
		if d > 0 {
			return time.Duration(d)
		}
	}
	return a.cfg.Timeout
}

// attempts is how many of them may end in error.
func (a *attempt) attempts() int {
	for _, n := range []int{a.job.Attempts, a.program.manifest.Attempts} {
		if n > 0 {
			return n
		}
	}
	return a.cfg.Attempts
}

// stall is how long the program may give no sign of life; 0 is for ever. What
// is installed knows best how long it is silent.
func (a *attempt) stall() time.Duration {
	if own := a.program.manifest.Stall; own != nil {
		return time.Duration(*own)
	}
	return a.cfg.Stall
}

// memory and room (of the working directory) are in bytes; 0 is no limit.
func (a *attempt) memory() int64 { return within(a.program.manifest.Memory, a.cfg.MaxMemory) }
func (a *attempt) room() int64   { return within(a.program.manifest.Scratch, a.cfg.MaxScratch) }

// within is what a program asks for, or else all that the node allows, and
// never more than that.
func within(own Size, most int64) int64 {
	switch {
	case own == 0:
		return most
	case most == 0:
		return int64(own)
	}
	return min(int64(own), most)
}

// killedBy says what a signal that the node did not send may mean.
func (a *attempt) killedBy(s syscall.Signal) string {
	text := fmt.Sprintf("it was killed by signal %d (%s)", int(s), s)
	switch limit := a.room(); {
	case s == syscall.SIGXFSZ && limit > 0:
		text += fmt.Sprintf("; a file may have at most %s here", Size(limit))
	case s == syscall.SIGKILL:
		text += "; if nobody did that, it may have been for its memory"
	case s == syscall.SIGABRT, s == syscall.SIGSEGV, s == syscall.SIGBUS, s == syscall.SIGFPE, s == syscall.SIGILL, s == syscall.SIGTRAP:
		text += after(namedError(a.rendered()))
	}
	return text
}

// overMemory says why the kernel killed a process of the program.
func (a *attempt) overMemory() string {
	if limit := a.memory(); limit > 0 {
		return fmt.Sprintf("it needed more memory than the %s that it may have", Size(limit))
	}
	return "it was killed because this machine ran out of memory"
}
