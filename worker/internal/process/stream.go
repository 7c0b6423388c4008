//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

const (
	// closedWait is how long a program may go on that has closed the pipe of its input
	// or output: it mostly ends itself.
	closedWait = time.Second
	// settleReads bounds the reads after an answer. They empty full pipes.
	settleReads = 16
)

// Why a Stream cannot take a task.
var (
	ErrEnded   = errors.New("it has ended")
	ErrClosed  = errors.New("it has closed its standard output")
	ErrUnasked = errors.New("it wrote to its standard output although it had no job")
)

// Stream is a program that stays and does one task after another. A task is a line on
// its standard input, which it answers by a line on its standard output. One goroutine
// at a time may use a Stream, but for PID, Handle and Started.
type Stream struct {
	PID     int
	Started time.Time
	// Handle lists the processes of the program, also between tasks.
	Handle Handle
	// StrayBytes and StrayEvents count what came on standard error and on the events
	// descriptor between tasks. It is dropped.
	StrayBytes, StrayEvents int

	s       *supervisor
	leave   chan struct{} // is closed at the end of the program
	usage   taskUsage
	closing bool // the deadline is that of closedWait
	// What was used and dropped before the task.
	cpu     time.Duration
	dropped int
}

// Task is one task of a Stream.
type Task struct {
	Line []byte // with its newline
	// The others are as in Spec, for this task.
	Log            io.Writer
	Event          func(line []byte)
	Timeout, Stall time.Duration
	Kill           context.Context
	Handle         *Handle
}

// Reply is how a task ended.
type Reply struct {
	// Line is the answer, without its newline; nil if the program ended without one.
	Line []byte
	// Ended says that the program has ended, and Exit how. Else Exit only has what the
	// task used. MaxRSS is the most resident memory that was seen.
	Ended bool
	Exit  Exit
	// Closed says that the program was stopped because it closed its standard input or
	// output. Unread says that it had read nothing of the task when it ended by itself or
	// was stopped for that.
	Closed, Unread bool
	// After is what was read after the answer.
	After []byte
}

// StartStream starts a program for tasks. MaxStdout bounds the line of an answer.
// Stdin, StdinFile, Log, Event, Timeout, Stall, Kill, Handle and OnStart are not used.
// The caller calls End unless Do has said that the program has ended.
func StartStream(spec Spec) (*Stream, error) {
	spec.setDefaults()
	spec.stream = true
	p := &Stream{leave: make(chan struct{})}
	started := make(chan error)
	go func() {
		// See run. This goroutine keeps the thread until the program has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var err error
		p.s, err = start(spec, cgroup.Take())
		started <- err
		if err == nil {
			<-p.leave
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("process: start %s: %w", spec.Path, err)
	}
	p.PID, p.Started = p.s.pid, p.s.begun
	p.usage = newTaskUsage(p.PID)
	p.s.memory.resident = &p.usage
	p.Handle.set(&p.s.descendants)
	return p, nil
}

// Do does a task and returns when it is answered or the program has ended. When ctx
// ends, or a limit of the task is exceeded, the program is stopped as Run does it. The
// error says why the task was not sent: ErrEnded, ErrClosed or ErrUnasked of a program
// that cannot take any, or the cause of a context.
func (p *Stream) Do(ctx context.Context, t Task) (reply Reply, err error) {
	p.s.spec.Pause.wait(ctx, t.Kill)
	for _, c := range [...]context.Context{ctx, t.Kill} {
		if c != nil && c.Err() != nil {
			return reply, fmt.Errorf("process: not started: %w", context.Cause(c))
		}
	}
	if err := p.Look(); err != nil {
		return reply, err
	}
	defer p.watch(ctx, t.Kill)()
	returned := false
	defer func() {
		if !returned { // the caller's Log or Event panicked
			p.s.kill()
			p.s.pipes.log, p.s.pipes.events.emit = nil, nil
			p.close()
		}
	}()
	p.begin(&t)
	answered := p.serve(ctx)
	reply = p.end(answered)
	returned = true
	return reply, nil
}

// watch wakes the loop when a context ends or the gate changes, until stop is called.
func (p *Stream) watch(ctx, kill context.Context) (stop func()) {
	wake := p.s.pipes.buffers.waker.wake
	leave := p.s.spec.Pause.enter(&p.s.pipes.buffers.waker)
	stops := [2]func() bool{}
	for i, c := range [...]context.Context{ctx, kill} {
		if c != nil && c.Done() != nil {
			stops[i] = context.AfterFunc(c, wake)
		}
	}
	return func() {
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
		leave()
	}
}

// begin sends the task.
func (p *Stream) begin(t *Task) {
	s := p.s
	s.begun, s.exit, s.killAt, s.deadline = time.Now(), Exit{}, time.Time{}, time.Time{}
	s.spec.Kill, s.spec.Handle = t.Kill, t.Handle
	if t.Timeout > 0 {
		s.deadline = s.begun.Add(t.Timeout)
	}
	s.stall = stallDetector{}
	s.stall.start(t.Stall, s.begun)
	s.memory.step, s.memory.most = 0, 0
	s.spec.Handle.set(&s.descendants)
	s.pipes.log, s.pipes.events.emit = t.Log, t.Event
	p.dropped, p.closing = s.pipes.events.dropped, false
	if p.usage.tasks > 0 { // the start belongs to the first task
		p.cpu = p.usage.cpu()
	}
	p.usage.tasks++
	s.pipes.send(t.Line)
}

// serve waits for the answer. It returns false if the program has ended before.
func (p *Stream) serve(ctx context.Context) (answered bool) {
	s := p.s
	for {
		exited := s.step(ctx)
		stopping := s.killed || !s.killAt.IsZero()
		switch {
		case s.pipes.answered() && !stopping:
			return true
		case exited:
			return false
		case s.pipes.hungUp() && !stopping && !p.closing:
			p.closing = true
			if at := time.Now().Add(closedWait); s.deadline.IsZero() || at.Before(s.deadline) {
				s.deadline = at
			} else {
				p.closing = false // the deadline of the task comes first
			}
		}
	}
}

// end returns the reply, after the answer or after the end of the program.
func (p *Stream) end(answered bool) Reply {
	s := p.s
	if answered {
		p.settle()
	}
	used, most := p.usage.cpu()-p.cpu, p.usage.most(s.memory.most, time.Since(s.begun))
	exited := s.pipes.fds[fdExit].Revents != 0
	var reply Reply
	if !answered || exited {
		stopped := s.killed || !s.killAt.IsZero()
		unread := (!stopped || p.closing && s.exit.TimedOut) && unreadBytes(int(s.pipes.input)) >= s.pipes.sent
		p.close()
		answered = answered || s.pipes.answered() && !stopped
		reply.Ended, reply.Unread = true, unread && !answered
	} else {
		p.idle()
	}
	reply.Exit = s.exit
	reply.Exit.CPU, reply.Exit.Wall = max(0, used), time.Since(s.begun)
	reply.Exit.MaxRSS = most
	reply.Exit.EventsDropped = s.pipes.events.dropped - p.dropped
	reply.Exit.Stdout = nil
	if reply.Closed = p.closing && reply.Exit.TimedOut; reply.Closed {
		reply.Exit.TimedOut = false
	}
	if answered {
		reply.Line, reply.After = s.pipes.answer()
	}
	return reply
}

// settle reads what came with the answer: events and lines of the log that were written
// before it, and output that was written after it.
func (p *Stream) settle() {
	for range settleReads {
		if !poll(p.s.pipes.fds[:], 0) || p.s.pipes.fds[fdExit].Revents != 0 {
			return
		}
		p.s.pipes.transfer()
	}
}

// idle makes the program wait for the next task.
func (p *Stream) idle() {
	s := p.s
	s.spec.Handle.set(nil)
	s.resume() // it may have answered just before the pause
	s.spec.Kill, s.spec.Handle = nil, nil
	s.pipes.log, s.pipes.events.emit = (*stray)(p), p.strayEvent
}

// stray counts what a program writes to its log between tasks.
type stray Stream

func (p *stray) Write(data []byte) (int, error) {
	p.StrayBytes += len(data)
	return len(data), nil
}

func (p *Stream) strayEvent([]byte) { p.StrayEvents++ }

// Look reads what the program has written between tasks, and drops it. The error is
// ErrEnded, ErrClosed or ErrUnasked: the program cannot take a task. It does not wait.
func (p *Stream) Look() error {
	pipes := &p.s.pipes
	p.idle()
	pipes.resumeEvents(time.Now())
	pipes.reset()
	p.settle()
	switch {
	case pipes.fds[fdExit].Revents != 0:
		return ErrEnded
	case len(pipes.stdout) > 0:
		return ErrUnasked
	case pipes.hungUp():
		return ErrClosed
	}
	return nil
}

// End closes the standard input of a program without a task, so that it ends itself. If
// it does not, it gets SIGTERM after half of the grace period, and SIGKILL after the
// other half or when kill ends.
func (p *Stream) End(kill context.Context) Exit {
	s := p.s
	p.idle()
	s.exit, s.killAt = Exit{}, time.Time{}
	s.spec.Pause, s.spec.Kill, s.spec.Grace = nil, kill, s.spec.Grace/2
	s.stall = stallDetector{}
	s.deadline = time.Now().Add(s.spec.Grace)
	s.pipes.reset()
	s.pipes.closeInput()
	defer p.watch(context.Background(), kill)()
	s.supervise(context.Background())
	p.close()
	return s.exit
}

// close ends all processes and releases everything.
func (p *Stream) close() {
	s := p.s
	p.Handle.set(nil)
	s.finish()
	p.usage.close()
	s.release()
	close(p.leave)
}
