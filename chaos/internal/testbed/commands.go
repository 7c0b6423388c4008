package testbed

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// commandTime bounds a command of runnerbean.
const commandTime = 3 * time.Minute

// Command runs a command of a node's program with the node's settings. It returns
// what the command printed, and its exit code; -1 says that it could not be run, or
// did not end.
func (n *Node) Command(ctx context.Context, args ...string) (output string, code int) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	p := n.Process
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env, cmd.Dir = append(p.Env[:len(p.Env):len(p.Env)], "RUNNERBEAN_URL=http://"+n.Addr), p.bed.Dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = -1
		out = append(out, err.Error()...)
	}
	p.bed.History.Logf("runnerbean %q of %s: exit code %d, %.600s", args, p.Name, code, out)
	return string(out), code
}
