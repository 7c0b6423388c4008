//go:build unix && !linux

package cgroup

import (
	"syscall"
	"time"
)

// Cgroup exists on Linux only. Here it is always nil.
type Cgroup struct{}

// Take returns nil.
func Take() *Cgroup { return nil }

// Adopt does nothing.
func Adopt(string) error { return nil }

// Probe returns the isolation by process groups alone.
func Probe() Isolation { return Isolation{} }

// The methods do for a nil Cgroup what those on Linux do.

func (c *Cgroup) Release()                  {}
func (c *Cgroup) Discard()                  {}
func (c *Cgroup) Join(*syscall.SysProcAttr) {}
func (c *Cgroup) LimitMemory(int64) bool    { return false }
func (c *Cgroup) End(time.Time) int         { return 0 }
func (c *Cgroup) OutOfMemory() bool         { return false }
