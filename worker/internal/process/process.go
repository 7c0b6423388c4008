// Package process runs one program in a process group of its own, reads its
// output within bounds, stops it, and ends all its descendants.
//
// Run works on the goroutine of its caller. One loop of poll(2) serves the
// pipes, the end of the process and the end of the context. So a run needs no
// goroutine per pipe, and the thread that started the program lives as long as
// the program, which the parent-death signal of Linux requires.
//
// A program leads a session and a process group, and has no terminal. It cannot
// gain privileges (no_new_privs). When it has ended, its process group is
// killed. Linux has two ways to find descendants that left the group:
//
//   - A cgroup of version 2, after cgroup.Adopt and where cgroups can be created.
//     The kernel kills the whole cgroup. Only a descendant with the rights to move
//     itself to another cgroup escapes.
//   - Without a cgroup, a mark, after Subreap. Every descendant inherits it, also
//     one that leaves its session and clears its environment. See mark. One that
//     removes its mark and leaves its session is killed when the next program
//     ends, its own or another. A supervisor process for each program would do the
//     same at the cost of starting another process, and the program could kill it.
//
// When this process itself is killed, the first process of each program dies with
// it. At the next start, cgroup.Adopt kills the others that are in cgroups, and
// KillByEnvironment those that have their environment.
package process

import (
	"context"
	"fmt"
	"runtime"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// Run runs the program and returns when its process group has ended. When ctx
// ends, the time is up or there is too much output, the group gets SIGTERM, and
// SIGKILL after the grace period. Run returns an error only for a program that
// could not be started. Exit says how a program ended.
func Run(ctx context.Context, spec Spec) (Exit, error) { return run(ctx, spec, cgroup.Take) }

// run runs the program in the cgroup that take returns, which may be nil.
func run(ctx context.Context, spec Spec, take func() *cgroup.Cgroup) (Exit, error) {
	spec.Pause.wait(ctx, spec.Kill)
	for _, c := range [...]context.Context{ctx, spec.Kill} {
		if c != nil && c.Err() != nil {
			return Exit{}, fmt.Errorf("process: not started: %w", context.Cause(c))
		}
	}
	spec.setDefaults()
	// The parent-death signal is sent when the starting thread ends
	// (golang/go#27505), so the goroutine keeps its thread until the program ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s, err := start(spec, take())
	if err != nil {
		return Exit{}, fmt.Errorf("process: start %s: %w", spec.Path, err)
	}
	defer s.release()
	wake := s.pipes.buffers.waker.wake
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, wake)()
	}
	if spec.Kill != nil {
		defer context.AfterFunc(spec.Kill, wake)()
	}
	defer spec.Pause.enter(&s.pipes.buffers.waker)()
	spec.Handle.set(&s.descendants)
	ended := false
	defer func() {
		if !ended { // the caller's Log or Event panicked
			s.kill()
			s.pipes.log, s.pipes.events.emit = nil, nil
			s.finish()
		}
	}()
	s.supervise(ctx)
	ended = true
	s.finish()
	return s.exit, nil
}
