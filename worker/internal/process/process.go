// Package process runs one program as a process group of its own, takes what
// it writes within bounds, stops it, and leaves nothing of it behind.
//
// Run works on the goroutine of its caller: one loop of poll(2) serves all
// pipes, the end of the process and the end of the context. That needs no
// goroutine per pipe, and the thread that started the program stays for as long
// as the program does, which the parent-death signal of Linux asks for.
//
// A program leads a session and a process group of its own, without a terminal;
// it gets no more privileges than it has (no_new_privs). On Linux after Adopt and
// where cgroups of version 2 can be made, it runs in a cgroup of its own. That is
// ended with it, whatever its descendants did to get away; only one with the
// rights to move itself to another cgroup can.
//
// Without cgroups, this is ended with a program: its group, always; on Linux,
// after Subreap, also descendants that left the group, and those that left the
// session and bear the mark that is in every program's environment. One in a
// session of its own whose environment was cleared ends once every program that
// was running with it has ended. Not covered then: one that forks faster than it
// is killed; anybody who runs off without Subreap; and, when this process itself
// is killed, descendants other than the program's first process (see
// KillMarked).
package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	// MaxEventLine is the longest event line in bytes; longer ones are dropped.
	MaxEventLine = 256 << 10
	// EventsVar names descriptor 3 in the program's environment.
	EventsVar = "RUNNERBEAN_EVENTS"

	defaultMaxStdout = 64 << 20
	defaultGrace     = 10 * time.Second
	// waitDelay bounds how long pipes are read that somebody still holds after
	// the whole group is dead.
	waitDelay = time.Second
	// endFor bounds how long killed processes are waited for, and hunted for
	// where they left their group. On a busy machine they may take seconds to die.
	endFor = 30 * time.Second
)

// Spec says what to run and within which bounds.
type Spec struct {
	// Path is the executable, best absolute: a relative one is looked up from
	// Dir. Name is its argv[0]; default Path.
	Path, Name string
	// Args are the arguments after argv[0].
	Args []string
	// Env is the whole environment; EventsVar and a mark are added.
	Env []string
	// Dir is the working directory; default the caller's.
	Dir string
	// Stdin is the standard input, unless StdinFile is set.
	Stdin []byte
	// StdinFile becomes the standard input itself, read from its offset. The
	// caller closes it after Run.
	StdinFile *os.File
	// MaxStdout is how many bytes of output are kept; a program that writes
	// more is stopped. Default 64 MiB.
	MaxStdout int64
	// Log takes what the program writes to stderr. It must not block.
	// Default: dropped.
	Log io.Writer
	// Event takes one line from descriptor 3 without its newline; the bytes are
	// valid during the call only. All calls come from the goroutine of Run, and
	// must not block. A program that writes more than some thousand lines a second
	// for long has to wait. Default: dropped.
	Event func(line []byte)
	// Timeout stops the program; default never.
	Timeout time.Duration
	// Stall stops a program that has written nothing for so long while its whole
	// tree used next to no CPU; it is noticed up to half as much later. Default
	// never.
	Stall time.Duration
	// Kill, when it ends, kills the program at once, without grace, also while
	// it is being stopped. Default never.
	Kill context.Context
	// MemoryLimit is in bytes: of the whole tree where the kernel lets us (see
	// Probe), else of each process. Default none.
	MemoryLimit int64
	// OpenFiles is how many descriptors a process may have; default as inherited.
	OpenFiles uint64
	// FileSize is the largest file that a process may write, in bytes; default
	// none.
	FileSize int64
	// Pause, while it is shut, has the program and all its descendants stand
	// still, and Timeout and Stall with them. What it wrote before is read; a
	// program that is to end for another reason goes on for that. Default never.
	Pause *Gate
	// Grace is the time between SIGTERM and SIGKILL. Default 10 s.
	Grace time.Duration
	// Handle lets others look at the program while it runs. Default: nobody looks.
	Handle *Handle
	// OnStart is told the process id, which is also the id of the group.
	OnStart func(pid int)

	uncaged bool // for tests: as where there are no cgroups
}

// Exit is how a program ended.
type Exit struct {
	Code   int            // -1 when signalled
	Signal syscall.Signal // 0 unless signalled
	// TimedOut, Stalled, Cancelled (the context ended) and StdoutTooBig say why
	// Run stopped the program; at most one is set.
	TimedOut, Stalled, Cancelled, StdoutTooBig bool
	// Killed says that Kill ended it, whatever it was being stopped for before.
	Killed bool
	// OutOfMemory says that the kernel killed a process of the tree because of
	// MemoryLimit. A limit on each process just looks like an error exit.
	OutOfMemory bool
	// Stdout is what the program wrote, at most MaxStdout bytes.
	Stdout []byte
	// CPU is user and system time of the program and of the descendants that
	// it waited for.
	CPU time.Duration
	// Wall is from before the start to the end of the last pipe.
	Wall time.Duration
	// Paused is for how long of that it stood still.
	Paused time.Duration
	// MaxRSS is the most memory held by one process, in bytes; 0 where the
	// program was too short and small to measure.
	MaxRSS int64
	// EventsDropped counts lines longer than MaxEventLine.
	EventsDropped int
	// Escaped counts descendants that were still alive when Run gave up on them,
	// after half a minute.
	Escaped int
}

// Run runs the program to its end and to that of its process group. When ctx
// ends, the time is up or there is too much output, the group gets SIGTERM and
// after the grace period SIGKILL. The error is for a program that could not be
// started; how one ended is in Exit.
func Run(ctx context.Context, spec Spec) (Exit, error) {
	spec.Pause.wait(ctx, spec.Kill)
	for _, c := range [...]context.Context{ctx, spec.Kill} {
		if c != nil && c.Err() != nil {
			return Exit{}, fmt.Errorf("process: not started: %w", context.Cause(c))
		}
	}
	spec.setDefaults()
	// The parent-death signal is sent when the starting thread ends
	// (golang/go#27505), so the thread must be ours until the program has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := start(spec)
	if err != nil {
		return Exit{}, fmt.Errorf("process: start %s: %w", spec.Path, err)
	}
	defer g.release()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, g.gear.waker.wake)()
	}
	if spec.Kill != nil {
		defer context.AfterFunc(spec.Kill, g.gear.waker.wake)()
	}
	defer spec.Pause.enter(&g.gear.waker)()
	spec.Handle.set(g.pid, g.cage)
	ended := false
	defer func() {
		if !ended { // a panic is on its way to the caller
			g.kill()
			g.spec.Log, g.events.emit = nil, nil
			g.finish()
		}
	}()
	g.supervise(ctx)
	ended = true
	g.finish()
	return g.exit, nil
}

func (s *Spec) setDefaults() {
	if s.Name == "" {
		s.Name = s.Path
	}
	if s.MaxStdout <= 0 {
		s.MaxStdout = defaultMaxStdout
	}
	if s.Grace <= 0 {
		s.Grace = defaultGrace
	}
}
