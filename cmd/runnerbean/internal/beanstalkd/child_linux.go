package beanstalkd

import (
	"os/exec"
	"syscall"
)

// endWithParent puts the child into a process group of its own, so that Ctrl-C of a
// terminal does not reach it: the node stops it. The kernel ends the child when the
// node is killed.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
