package cgroup

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// controllers are the cgroup controllers that programs are limited by.
var controllers = []string{"memory", "pids"}

// plan says where cgroups for programs can be created.
type plan struct {
	base location
	// enable are the controllers that base has and does not yet pass down.
	enable []string
	// move says that this process has to move to a leaf first: a cgroup passes
	// controllers down only while no process is in it.
	move bool
}

// newPlan changes nothing.
func newPlan() (plan, error) {
	own, err := ownLocation()
	if err != nil {
		return plan{}, err
	}
	return planAt(own, os.Getpid()), nil
}

// planAt enables controllers only in a cgroup that systemd has delegated. In any
// other it creates a folder and changes nothing else.
func planAt(own location, pid int) plan {
	switch {
	case own.path != "/" && own.above().delegated():
		base := own.above() // this process is in a leaf already
		return plan{base: base, enable: base.missing()}
	case own.delegated() && slices.Equal(own.words("cgroup.procs"), []string{strconv.Itoa(pid)}):
		missing := own.missing()
		return plan{base: own, enable: missing, move: len(missing) > 0}
	}
	return plan{base: own}
}

// delegated reports whether systemd delegated the cgroup (Delegate=).
func (l location) delegated() bool {
	var b [8]byte
	for _, name := range [...]string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(l.dir, name, b[:]); err == nil && n == 1 && b[0] == '1' {
			return true
		}
	}
	return false
}

// missing lists the controllers that the cgroup has and does not pass down.
func (l location) missing() (names []string) {
	has, passes := l.words("cgroup.controllers"), l.words("cgroup.subtree_control")
	for _, c := range controllers {
		if slices.Contains(has, c) && !slices.Contains(passes, c) {
			names = append(names, c)
		}
	}
	return names
}

// enable passes controllers down. A failure is no error: limits then work without
// that controller.
func (l location) enable(controllers []string) {
	for _, c := range controllers {
		_ = l.write("cgroup.subtree_control", "+"+c)
	}
}

// nodeLeaf is the cgroup that this process moves to, so that a delegated cgroup
// is empty.
const nodeLeaf = "runnerbean-node"

func (p plan) apply(pid int) error {
	if p.move {
		leaf := p.base.child(nodeLeaf)
		if err := os.Mkdir(leaf.dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := leaf.write("cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("move to %s: %w", leaf.dir, err)
		}
	}
	p.base.enable(p.enable)
	return nil
}
