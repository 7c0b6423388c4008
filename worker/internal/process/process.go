// Package process runs one program as a process group and ends all of it.
package process

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Spec says what to run and within which bounds.
type Spec struct {
	// Path is the executable. Name is its argv[0]; default Path.
	Path, Name string
	// Args are the arguments after argv[0].
	Args []string
	// Env is the whole environment; RUNNERBEAN_EVENTS is added.
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
	// Log takes what the program writes to stderr. It must not block for long.
	// Default: dropped.
	Log io.Writer
	// Event takes one line from descriptor 3, without its end, valid during the
	// call only. It is called from one goroutine and must not block for long.
	Event func(line []byte)
	// Timeout ends the program; default none.
	Timeout time.Duration
	// Grace is the time between SIGTERM and SIGKILL. Default 10 s.
	Grace time.Duration
	// OnStart is told the process id, which is also that of the group.
	OnStart func(pid int)
}

// Exit is how a program ended.
type Exit struct {
	Code   int            // -1 when signalled
	Signal syscall.Signal // 0 unless signalled
	// TimedOut, Cancelled (the context ended) and StdoutTooBig say why Run
	// stopped the program; at most one is set.
	TimedOut, Cancelled, StdoutTooBig bool
	Stdout                            []byte
	CPU                               time.Duration // user and system
	Wall                              time.Duration
	MaxRSS                            int64 // bytes
	EventsDropped                     int   // lines that were too long
	// Escaped counts descendants that outlived the program's group and could not be ended in time.
	Escaped int
}

// MaxEventLine is the longest event line, in bytes; longer ones are dropped.
const MaxEventLine = 256 << 10

// Run runs the program to its end. The error is for a program that could not
// be started; how one ended is in Exit.
func Run(ctx context.Context, spec Spec) (Exit, error) { return Exit{}, errors.ErrUnsupported }

// Subreap makes this process the parent of descendants that lose theirs, so
// that Run can end those that left their group.
func Subreap() error { return errors.ErrUnsupported }

// Log keeps the head and the tail of what is written to it.
// The zero value is ready for use.
type Log struct{}

// Write never fails and never blocks.
func (l *Log) Write(p []byte) (int, error) { return len(p), nil }

// Total is how many bytes were written.
func (l *Log) Total() int64 { return 0 }

// Snapshot is a copy of what is kept.
func (l *Log) Snapshot() []byte { return nil }

// Tail is a copy of the last n bytes, or fewer where fewer are kept.
func (l *Log) Tail(n int) []byte { return nil }
