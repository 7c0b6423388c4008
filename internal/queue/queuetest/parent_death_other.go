//go:build !linux

package queuetest

import "os/exec"

// killWithParent: only Linux ends a child with its parent.
func killWithParent(*exec.Cmd) {}
