package queuetest

import (
	"os/exec"
	"syscall"
)

// killWithParent makes the kernel end cmd when a test binary dies without its
// cleanups.
func killWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
