//go:build unix && !linux

package beanstalkd

import (
	"os/exec"
	"syscall"
)

// endWithParent puts the child into a process group of its own, so that Ctrl-C of a
// terminal does not reach it: the node stops it. Only Linux can also end it when the node is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
