package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// KillByEnvironment kills every process that was started with the environment
// entry "KEY=VALUE", and returns how many it killed. A node that starts again so
// ends what a killed node left running. The entry must be one that only those
// processes have.
func KillByEnvironment(ctx context.Context, entry string) (int, error) {
	n := 0
	var errs []error
	has := func(pid int) bool { return hasEnv(procFile(pid, "environ"), entry) }
	for _, pid := range allPids() {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		if pid == os.Getpid() || !has(pid) {
			continue
		}
		killed, err := signalIf(pid, unix.SIGKILL, has)
		if killed {
			n++
		}
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

// hasEnv looks for an entry in a /proc/<pid>/environ.
func hasEnv(environ []byte, entry string) bool {
	return slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(e []byte) bool { return string(e) == entry })
}
