package process

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
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// homePrefix begins the names of the cgroups under which programs run.
const homePrefix = "runnerbean-run-"

// home is the cgroup whose children this process runs programs in. The lock on
// its folder lasts as long as the process, and so tells the living from the
// dead, whatever process ids have come again since.
type home struct {
	place
	fd            int
	memory, tasks bool

	mu    sync.Mutex
	spare []*cage
	next  int // name of the next cage
}

// adoption is the home of this process, or why it has none.
var adoption struct {
	mu   sync.Mutex
	home atomic.Pointer[home]
	why  error
}

// Adopt ends and removes what an earlier life of this process, or any that is
// dead, left running under cgroups, and makes Run use cgroups named after name
// where that is allowed; of several names in one process the first stays. Call
// it before the first Run. The error is for leftovers that could not be ended;
// that there are no cgroups is none (see Probe).
func Adopt(name string) error {
	adoption.mu.Lock()
	defer adoption.mu.Unlock()
	if h := adoption.home.Load(); h != nil {
		return clearDead(h.parent())
	}
	p, err := planCgroups()
	if err != nil {
		adoption.why = err
		return nil
	}
	left := clearDead(p.base)
	if err = p.apply(os.Getpid()); err == nil {
		var h *home
		if h, err = openHome(p.base, name); err == nil {
			adoption.home.Store(h)
		}
	}
	adoption.why = err
	return left
}

// openHome makes or takes over the home of that name, and tries it.
func openHome(base place, name string) (*home, error) {
	sum := sha256.Sum256([]byte(name))
	h := &home{place: base.child(homePrefix + hex.EncodeToString(sum[:8])), fd: -1}
	err := h.lock()
	if err == nil {
		h.enable(h.missing())
		err = h.try()
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// lock makes the folder and locks it. Somebody who clears up may take it away
// in between.
func (h *home) lock() error {
	err := errors.New("it is always taken away")
	for range 5 {
		if err = os.Mkdir(h.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if h.fd, err = lockFolder(h.dir); err == nil {
			return nil
		}
	}
	return fmt.Errorf("lock %s: %w", h.dir, err)
}

// lockFolder fails where another process holds the lock or the folder is gone.
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

// try makes the first cage and starts in it what cannot be started: the error
// tells whether the kernel got as far as that.
func (h *home) try() error {
	c, err := h.newCage()
	if err != nil {
		return err
	}
	h.memory, h.tasks = c.memory, c.tasks
	h.spare = append(h.spare, c)
	attr := &syscall.ProcAttr{Sys: &syscall.SysProcAttr{}}
	c.join(attr.Sys)
	pid, err := syscall.ForkExec("/dev/null/nothing", []string{""}, attr)
	switch {
	case err == nil:
		status, _ := reap(pid)
		return fmt.Errorf("what is started in %s dies: %v", c.dir, status.Signal())
	case !errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("start in %s: %w", c.dir, err)
	}
	return nil
}

// close removes the home, which nothing may run in any more.
func (h *home) close() {
	for _, c := range h.spare {
		c.close()
	}
	_ = removeCgroups(h.dir)
	if h.fd >= 0 {
		_ = unix.Close(h.fd)
	}
}

// clearDead kills and removes the homes whose processes are dead.
func clearDead(base place) error {
	dirs, err := filepath.Glob(base.file(homePrefix + "*"))
	errs := []error{err}
	for _, dir := range dirs {
		fd, err := lockFolder(dir)
		if err != nil {
			continue // somebody lives there, or it is not ours
		}
		errs = append(errs, killCgroup(place{dir: dir}), removeCgroups(dir))
		_ = unix.Close(fd)
	}
	return errors.Join(errs...)
}

// killCgroup ends all that runs in a cgroup and below it.
func killCgroup(p place) error {
	if err := p.write("cgroup.kill", "1"); err != nil {
		return err
	}
	for until := time.Now().Add(endFor); slices.Contains(linesOf(p), "populated 1"); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			return fmt.Errorf("something in %s cannot be killed", p.dir)
		}
	}
	return nil
}

func linesOf(p place) []string {
	data, _ := os.ReadFile(p.file("cgroup.events"))
	return strings.Split(string(data), "\n")
}

// removeCgroups removes a cgroup and those below it, which programs with the
// rights may have made.
func removeCgroups(dir string) error {
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

// Probe finds out what is in force, or would be after Adopt.
func Probe() Isolation {
	adoption.mu.Lock()
	defer adoption.mu.Unlock()
	if h := adoption.home.Load(); h != nil {
		return h.isolation()
	}
	p, err := planCgroups()
	if err == nil {
		var h *home
		if h, err = openHome(p.base, "probe "+strconv.Itoa(os.Getpid())); err == nil {
			defer h.close()
			i := h.isolation()
			i.Memory = i.Memory || slices.Contains(p.controllers, "memory")
			i.Tasks = i.Tasks || slices.Contains(p.controllers, "pids")
			return i
		}
	}
	return Isolation{Why: err.Error(), Subreaper: true, Limits: true}
}

func (h *home) isolation() Isolation {
	return Isolation{Cgroup: h.dir, Memory: h.memory, Tasks: h.tasks, Subreaper: true, Limits: true}
}
