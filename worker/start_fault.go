package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/jobs"
)

// unstartable is the end of an attempt whose program cannot be started, for a
// reason that another attempt would meet, too.
func (a *attempt) unstartable(problem string) *fault {
	return &fault{
		outcome: jobs.OutcomeError, final: true,
		message: fmt.Sprintf("program %s cannot be started: %s", a.record.Program, problem),
	}
}

// startFault is the end of an attempt whose program could not be started,
// although nothing was wrong with it when it was looked at last.
func (a *attempt) startFault(ctx context.Context, err error) error {
	a.programs.recheck()
	if now, load := a.programs.look(a.program.about.Name); load == nil && now.about.Problem != "" {
		return a.cannotStart(ctx, now.about.Problem)
	}
	// Other nodes may announce the program as good for no better reason than
	// this one did: it is not left to them.
	f := a.unstartable(reason(err))
	f.final = errors.Is(err, unix.ENOEXEC)
	return f
}

// cannotStart is the end of an attempt whose program has a problem that this node
// announces: the job is left to another node with a good copy, or fails.
func (a *attempt) cannotStart(ctx context.Context, problem string) error {
	f := a.unstartable(problem)
	switch left, err := a.lane.leaveToOthers(ctx, a.record.Program); {
	case err != nil:
		return nodeFault("whether another node has a good copy of its program is not known", err)
	case left:
		return &fault{outcome: jobs.OutcomeInterrupted, message: f.message + "; it is left to nodes that have a good copy", program: true}
	}
	return f
}

func reason(err error) string {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return "it is not in a format that this machine can run (exec format error)"
	case errors.Is(err, unix.ETXTBSY):
		return "somebody is writing to it; replace a program by renaming a new file over it"
	case errors.Is(err, unix.E2BIG):
		return "its environment is too large"
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// byNode reports whether a program was not started for want of something that
// this node should have, and not because of the program.
func (a *attempt) byNode(err error) bool {
	var path *fs.PathError
	if !errors.As(err, &path) || path.Op != "exec" {
		return true
	}
	for _, want := range []error{unix.ENOMEM, unix.EAGAIN, unix.EMFILE, unix.ENFILE, unix.ENOSPC, unix.EIO, unix.EINTR} {
		if errors.Is(err, want) {
			return true
		}
	}
	// The error does not tell whether it is about the program or the folder to
	// run it in.
	dir, gone := os.Stat(a.dir)
	return gone != nil || !dir.IsDir() || unix.Access(a.dir, unix.X_OK) != nil
}

// leftToOthers reports whether the jobs of a program are left to other nodes: it
// cannot start here, and one that is up has a copy that can.
func (l *lane) leftToOthers(ctx context.Context, p *program) (bool, error) {
	if p.about.Problem == "" {
		return false, nil
	}
	return l.leaveToOthers(ctx, p.about.Name)
}

// leaveToOthers has this node take no more jobs of a program for a while, if
// another one that is up has a copy that can start, and reports whether it does.
func (l *lane) leaveToOthers(ctx context.Context, program string) (bool, error) {
	nodes, err := l.cfg.Ledger.Nodes(ctx)
	if err != nil {
		return false, err
	}
	for _, n := range nodes {
		if !n.Alive || n.Slots == 0 || n.Instance == l.cfg.Instance {
			continue
		}
		for _, p := range n.Programs {
			if p.Name == program && p.Problem == "" {
				l.programs.leave(program)
				return true, nil
			}
		}
	}
	return false, nil
}
