//go:build !linux

package main

import "syscall"

// groupOfItsOwn keeps signals of the terminal from a child.
func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
