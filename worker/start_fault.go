package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/program"
)

// otherNodes knows what other nodes announce of their programs.
type otherNodes struct {
	instance string // this one
	nodes    Nodes
	programs *program.Registry
}

// takeOver reports whether another node that is up announces a copy of the program that
// can start. Then this node takes no jobs of the program for a while.
func (o *otherNodes) takeOver(ctx context.Context, name string) (bool, error) {
	list, err := o.nodes.List(ctx)
	if err != nil {
		return false, err
	}
	for _, n := range list {
		if !n.Alive || n.Slots == 0 || n.Instance == o.instance {
			continue
		}
		for _, p := range n.Programs {
			if p.Name == name && p.Problem == "" {
				o.programs.LeaveToOthers(name)
				return true, nil
			}
		}
	}
	return false, nil
}

// drained returns since when a node is drained, or zero.
func (o *otherNodes) drained(ctx context.Context, node string) (since time.Time, err error) {
	list, err := o.nodes.Drains(ctx)
	for _, d := range list {
		if d.Node == node {
			since = d.Since
		}
	}
	return since, err
}

// free returns the programs that other nodes can start which take work.
func (o *otherNodes) free(ctx context.Context) (map[string]bool, error) {
	list, err := o.nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	drains, err := o.nodes.Drains(ctx)
	if err != nil {
		return nil, err
	}
	controls, err := o.nodes.Controls(ctx)
	programs := map[string]bool{}
	for _, n := range list {
		drained := slices.ContainsFunc(drains, func(d nodes.Drain) bool { return d.Node == n.Name })
		if !n.Alive || n.Slots == 0 || n.Instance == o.instance || drained || controls[n.Name].Paused {
			continue
		}
		for _, p := range n.Programs {
			if p.Problem == "" {
				programs[p.Name] = true
			}
		}
	}
	return programs, err
}

// cannotStart returns the fault of a program with a problem that this node announces. The
// job goes to another node with a good copy, or fails.
func (o *otherNodes) cannotStart(ctx context.Context, name, problem string) error {
	f := unstartable(name, problem)
	switch left, err := o.takeOver(ctx, name); {
	case err != nil:
		return fault.OfNode("whether another node has a good copy of its program is not known", err)
	case left:
		return &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: f.Message + "; it is left to nodes that have a good copy", Program: true}
	}
	return f
}

// startFault returns the fault of a program that did not start, although it had no problem
// when it was checked.
func (o *otherNodes) startFault(ctx context.Context, name string, err error) error {
	o.programs.Rescan()
	if now, load := o.programs.Reload(name); load == nil && now.About.Problem != "" {
		return o.cannotStart(ctx, name, now.About.Problem)
	}
	// The job is not left to other nodes: they may announce a program as good that does
	// not start there, either.
	f := unstartable(name, reason(err))
	f.Final = errors.Is(err, unix.ENOEXEC)
	return f
}

// unstartable returns the fault of a program that would not start in another attempt,
// either.
func unstartable(name, problem string) *fault.Fault {
	return fault.OfProgram(fmt.Sprintf("program %s cannot be started: %s", name, problem))
}

// reason returns why a program did not start, for people.
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

// nodeAtFault reports whether a program did not start because this node lacks something,
// such as memory or the working directory dir.
func nodeAtFault(err error, dir string) bool {
	var path *fs.PathError
	if !errors.As(err, &path) || path.Op != "exec" {
		return true
	}
	for _, lack := range []error{unix.ENOMEM, unix.EAGAIN, unix.EMFILE, unix.ENFILE, unix.ENOSPC, unix.EIO, unix.EINTR} {
		if errors.Is(err, lack) {
			return true
		}
	}
	// The error does not tell whether it is about the program or the directory.
	info, gone := os.Stat(dir)
	return gone != nil || !info.IsDir() || unix.Access(dir, unix.X_OK) != nil
}
