package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// place is a cgroup of version 2.
type place struct {
	dir  string // in the file system
	path string // as /proc/<pid>/cgroup gives it
}

func (p place) child(name string) place {
	return place{dir: filepath.Join(p.dir, name), path: path.Join(p.path, name)}
}

func (p place) parent() place {
	return place{dir: filepath.Dir(p.dir), path: path.Dir(p.path)}
}

func (p place) file(name string) string { return filepath.Join(p.dir, name) }

// words are those of one of its files.
func (p place) words(name string) []string {
	data, _ := os.ReadFile(p.file(name))
	return strings.Fields(string(data))
}

func (p place) write(name, text string) error {
	f, err := os.OpenFile(p.file(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// delegated reports whether systemd gave the cgroup away with Delegate=.
func (p place) delegated() bool {
	var b [8]byte
	for _, name := range [...]string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(p.dir, name, b[:]); err == nil && n == 1 && b[0] == '1' {
			return true
		}
	}
	return false
}

// ownPlace is the cgroup that this process is in.
func ownPlace() (place, error) {
	cgroups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return place{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return place{}, err
	}
	return findPlace(cgroups, mounts)
}

var errNoCgroup2 = errors.New("no cgroup v2 is mounted")

func findPlace(cgroups, mounts []byte) (place, error) {
	own := cgroupPath(cgroups)
	if own == "" || strings.HasPrefix(own, "/..") {
		return place{}, errNoCgroup2
	}
	for line := range bytes.Lines(mounts) {
		root, dir, ok := parseMount(string(line))
		if !ok {
			continue
		}
		// A mount may show a part of the hierarchy only.
		if rest, inside := strings.CutPrefix(own, strings.TrimSuffix(root, "/")); inside && (rest == "" || rest[0] == '/') {
			return place{dir: filepath.Join(dir, rest), path: own}, nil
		}
	}
	return place{}, errNoCgroup2
}

// parseMount takes the root and the mount point from a line of mountinfo that
// is about cgroup v2.
func parseMount(line string) (root, dir string, ok bool) {
	front, back, found := strings.Cut(line, " - ")
	f := strings.Fields(front)
	if !found || len(f) < 6 || !strings.HasPrefix(back, "cgroup2 ") {
		return "", "", false
	}
	return unescape(f[3]), unescape(f[4]), true
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// cgroupPath is the version 2 entry of a /proc/<pid>/cgroup.
func cgroupPath(data []byte) string {
	for line := range bytes.Lines(data) {
		if p, ok := bytes.CutPrefix(line, []byte("0::")); ok {
			return string(bytes.TrimSuffix(p, []byte("\n")))
		}
	}
	return ""
}

// wanted are the controllers that programs are limited by.
var wanted = []string{"memory", "pids"}

// plan says where cgroups for programs can be made.
type plan struct {
	base place
	// controllers are those that base would have to hand down for us and does
	// not yet. It can do so only while no process is in it: where move is set,
	// this process has to leave for a leaf first.
	controllers []string
	move        bool
}

// planCgroups only looks. What systemd has not given away is not changed beyond
// the making of a folder: its controllers stay as they are.
func planCgroups() (plan, error) {
	own, err := ownPlace()
	if err != nil {
		return plan{}, err
	}
	return planAt(own, os.Getpid()), nil
}

func planAt(own place, pid int) plan {
	switch {
	case own.path != "/" && own.parent().delegated():
		base := own.parent() // we are in a leaf already
		return plan{base: base, controllers: base.missing()}
	case own.delegated() && slices.Equal(own.words("cgroup.procs"), []string{strconv.Itoa(pid)}):
		missing := own.missing()
		return plan{base: own, controllers: missing, move: len(missing) > 0}
	}
	return plan{base: own}
}

// missing lists the wanted controllers that the cgroup has and does not hand down.
func (p place) missing() (names []string) {
	has, gives := p.words("cgroup.controllers"), p.words("cgroup.subtree_control")
	for _, c := range wanted {
		if slices.Contains(has, c) && !slices.Contains(gives, c) {
			names = append(names, c)
		}
	}
	return names
}

// enable hands controllers down; one that cannot be had is done without.
func (p place) enable(controllers []string) {
	for _, c := range controllers {
		_ = p.write("cgroup.subtree_control", "+"+c)
	}
}

// nodeLeaf is where this process goes to leave a delegated cgroup empty.
const nodeLeaf = "runnerbean-node"

// apply does what the plan says.
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
	p.base.enable(p.controllers)
	return nil
}
