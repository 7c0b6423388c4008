package main

import "syscall"

// groupOfItsOwn keeps a terminal's signals from a child, and lets the kernel
// end it if the demo is killed.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
