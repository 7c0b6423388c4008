package process

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// KillMarked kills every process that was started with the environment entry
// "KEY=VALUE", and returns how many it found. A node that starts again can so
// end what a killed one left running; pick an entry that only those have.
func KillMarked(ctx context.Context, entry string) (int, error) {
	n := 0
	var errs []error
	for _, pid := range allPids() {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		if pid == os.Getpid() || !hasEnv(pid, entry) {
			continue
		}
		killed, err := killIfMarked(pid, entry)
		if killed {
			n++
		}
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

// killIfMarked holds the process by a descriptor, so that the number cannot
// pass to another between the look and the kill.
func killIfMarked(pid int, entry string) (bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, ignoreGone(err)
	}
	defer unix.Close(fd)
	if !hasEnv(pid, entry) {
		return false, nil
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	return err == nil, ignoreGone(err)
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
