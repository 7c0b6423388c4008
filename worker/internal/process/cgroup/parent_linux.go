package cgroup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// parentPrefix starts the names of the cgroups under which programs run.
	parentPrefix = "runnerbean-run-"
	// killTimeout bounds the wait for killed processes. On a busy machine they
	// may take seconds to die.
	killTimeout = 30 * time.Second
)

// parent is the cgroup whose children this process runs programs in. This
// process holds a lock on its folder until it ends: a parent without a lock
// belongs to a dead process.
type parent struct {
	location
	fd            int
	memory, tasks bool

	free freeList
	next atomic.Int64 // number of children created, which gives names
}

// openParent creates or takes over the parent of that name, and tries it.
func openParent(base location, name string) (*parent, error) {
	sum := sha256.Sum256([]byte(name))
	p := &parent{location: base.child(parentPrefix + hex.EncodeToString(sum[:8])), fd: -1}
	err := p.lock()
	if err == nil {
		p.enable(p.missing())
		err = p.try()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// lock creates the folder and locks it. It retries because the clean-up of
// another process may remove the folder in between.
func (p *parent) lock() error {
	err := errors.New("another process removed it again and again")
	for range 5 {
		if err = os.Mkdir(p.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if p.fd, err = lockFolder(p.dir); err == nil {
			return nil
		}
	}
	return fmt.Errorf("lock %s: %w", p.dir, err)
}

// lockFolder fails if another process holds the lock or the folder is gone.
func lockFolder(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = unix.Access(dir, unix.F_OK)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// try starts a file that cannot be executed in the first child. ENOTDIR means
// that the kernel let the new process into the cgroup.
func (p *parent) try() error {
	c, err := p.newCgroup()
	if err != nil {
		return err
	}
	p.memory, p.tasks = c.memory, c.tasks
	p.free.put(c)
	attr := &syscall.ProcAttr{Sys: &syscall.SysProcAttr{}}
	c.Join(attr.Sys)
	pid, err := syscall.ForkExec("/dev/null/nothing", []string{""}, attr)
	switch {
	case err == nil:
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, 0, nil)
		return fmt.Errorf("a process started in %s dies: %v", c.dir, status.Signal())
	case !errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("start in %s: %w", c.dir, err)
	}
	return nil
}

// close removes the parent, in which nothing may run any more.
func (p *parent) close() {
	for c := p.free.take(); c != nil; c = p.free.take() {
		c.close()
	}
	_ = removeTree(p.dir)
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
	}
}

// newCgroup creates a child under a name that is not in use.
func (p *parent) newCgroup() (*Cgroup, error) {
	for range 64 {
		at := p.child(strconv.FormatInt(p.next.Add(1), 10))
		err := os.Mkdir(at.dir, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c := &Cgroup{location: at, free: &p.free, fd: -1, killFD: -1, eventsFD: -1, cpuFD: -1, memoryFD: -1}
		if err := c.open(); err != nil {
			c.Discard()
			return nil, err
		}
		return c, nil
	}
	return nil, fs.ErrExist
}

// clearDead kills and removes the parents whose processes are dead.
func clearDead(base location) error {
	dirs, err := filepath.Glob(base.file(parentPrefix + "*"))
	errs := []error{err}
	for _, dir := range dirs {
		fd, err := lockFolder(dir)
		if err != nil {
			continue // its process is alive, or it belongs to another user
		}
		errs = append(errs, killTree(location{dir: dir}), removeTree(dir))
		_ = unix.Close(fd)
	}
	return errors.Join(errs...)
}

// killTree kills all processes in a cgroup and in those below it.
func killTree(at location) error {
	if err := at.write("cgroup.kill", "1"); err != nil {
		return err
	}
	populated := func() bool {
		data, _ := os.ReadFile(at.file("cgroup.events"))
		return parseNumber(data, "populated") != 0
	}
	for until := time.Now().Add(killTimeout); populated(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			return fmt.Errorf("a process in %s cannot be killed", at.dir)
		}
	}
	return nil
}

// removeTree removes a cgroup and those below it, which a program may have
// created.
func removeTree(dir string) error {
	var dirs []string
	_ = filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, at)
		}
		return nil
	})
	var errs []error
	for _, at := range slices.Backward(dirs) {
		if err := unix.Rmdir(at); err != nil && err != unix.ENOENT {
			errs = append(errs, &os.PathError{Op: "rmdir", Path: at, Err: err})
		}
	}
	return errors.Join(errs...)
}
