//go:build unix && !linux

package beanstalkd

import (
	"os/exec"
	"syscall"
)

// endWithParent keeps a terminal's Ctrl-C from the child, which the node stops
// itself. Only Linux can also end it when the node is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
