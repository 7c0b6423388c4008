package queuetest

import (
	"os/exec"
	"syscall"
)

// tieToParent makes the kernel end cmd when a test binary dies without its
// cleanups.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
