package jobstest

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end a node when the test's process dies without its
// cleanups. The node is then stopped, so that it stops its beanstalkd.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
