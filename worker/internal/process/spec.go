package process

import (
	"context"
	"io"
	"os"
	"syscall"
	"time"
)

const (
	// EventsVar names descriptor 3 in the program's environment.
	EventsVar = "RUNNERBEAN_EVENTS"

	defaultMaxStdout = 64 << 20
	defaultGrace     = 10 * time.Second
)

// Spec says what to run and within which bounds.
type Spec struct {
	// Path is the executable, best absolute: a relative path is looked up from
	// Dir. Name is its argv[0]; default Path.
	Path, Name string
	// Args are the arguments after argv[0].
	Args []string
	// Env is the whole environment, to which EventsVar is added.
	Env []string
	// Dir is the working directory; default the caller's.
	Dir string
	// Stdin is the standard input, unless StdinFile is set.
	Stdin []byte
	// StdinFile is the standard input, read from its offset. The caller closes it
	// after Run.
	StdinFile *os.File
	// MaxStdout is how many bytes of output are kept. A program that writes more
	// is stopped. Default 64 MiB.
	MaxStdout int64
	// Log gets what the program writes to stderr. It must not block. Default:
	// dropped.
	Log io.Writer
	// Event gets each line from descriptor 3, without its newline. The bytes are
	// valid during the call only. All calls come from the goroutine of Run, and
	// must not block. A program that writes more than some thousand lines a second
	// for long has to wait. Default: dropped.
	Event func(line []byte)
	// Timeout stops the program; default never.
	Timeout time.Duration
	// Stall stops a program that has written nothing for so long, while it and its
	// descendants used next to no CPU. The program is stopped up to half as much
	// later. Default never.
	Stall time.Duration
	// Kill, when it ends, kills the program at once, without grace, also while it
	// is being stopped. Default never.
	Kill context.Context
	// MemoryLimit is in bytes. It applies to the whole program where the kernel
	// can do that (see cgroup.Probe), else to each process. Default none.
	MemoryLimit int64
	// OpenFiles is how many descriptors a process may have; default as inherited.
	OpenFiles uint64
	// FileSize is the largest file that a process may write, in bytes; default
	// none.
	FileSize int64
	// Pause, while it is closed, stops the program and all its descendants. Timeout
	// and Stall do not count that time. Output from before the pause is read. A
	// program that has to end for another reason continues for that. Default never.
	Pause *PauseGate
	// Grace is the time between SIGTERM and SIGKILL. Default 10 s.
	Grace time.Duration
	// Handle lists the processes of the program while it runs. Default: none.
	Handle *Handle
	// OnStart gets the process id, which is also the id of the group.
	OnStart func(pid int)

	stream bool // the program does tasks
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

// Exit is how a program ended.
type Exit struct {
	Code   int            // -1 when signalled
	Signal syscall.Signal // 0 unless signalled
	// TimedOut, Stalled, Cancelled (the context ended) and StdoutTooBig say why
	// Run stopped the program. At most one of them is set.
	TimedOut, Stalled, Cancelled, StdoutTooBig bool
	// Killed says that Spec.Kill ended the program, even if it was already being
	// stopped for another reason.
	Killed bool
	// OutOfMemory says that the kernel killed a process of the program because of
	// MemoryLimit. A limit on each process leads to an error exit instead.
	OutOfMemory bool
	// Stdout is what the program wrote; nil if that was more than MaxStdout bytes.
	Stdout []byte
	// CPU is the user and system time of the program and of the descendants that
	// it waited for.
	CPU time.Duration
	// Wall is the time from before the start to the end of the last pipe, and
	// Paused how much of that the program was paused.
	Wall, Paused time.Duration
	// MaxRSS is the most memory held by one process, in bytes. It is 0 if the
	// program was too short and small to measure.
	MaxRSS int64
	// EventsDropped counts the lines longer than MaxEventLine.
	EventsDropped int
	// Escaped counts descendants that were still alive half a minute after they
	// were killed.
	Escaped int
}
