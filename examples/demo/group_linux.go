package main

import "syscall"

// groupOfItsOwn keeps signals of the terminal from a child. The kernel kills the child
// if the demo is killed.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
