//go:build !linux

package main

import "syscall"

// groupOfItsOwn keeps a terminal's signals from a child.
func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
