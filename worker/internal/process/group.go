//go:build unix

package process

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The descriptors that a group is served by, as places in group.fds.
const (
	fdExit = iota // readable when the leader has ended
	fdWake        // readable when the context has ended
	fdStdout
	fdStderr
	fdEvents
	fdStdin // writable
	fdCount
)

// gear is what a run needs and the next run can use again.
type gear struct {
	buf   []byte
	waker waker
}

var gears = sync.Pool{New: func() any { return &gear{buf: make([]byte, 64<<10)} }}

// rlimit is one limit of a process.
type rlimit struct {
	name  string
	which int
	max   uint64
}

// newGear takes a gear from the pool; its waker is opened once and closed by
// the garbage collector's hand when the pool lets go of it.
func newGear() (*gear, error) {
	g := gears.Get().(*gear)
	if g.waker.open {
		return g, nil
	}
	if err := g.waker.init(); err != nil {
		return nil, err
	}
	runtime.AddCleanup(g, closeWaker, g.waker)
	return g, nil
}

// group is one running program: the leader's process group and our ends of its
// pipes.
type group struct {
	spec   Spec
	gear   *gear
	mark   string
	pid    int
	fds    [fdCount]unix.PollFd // Fd -1 is closed
	stdin  []byte               // not yet written
	events lines
	flow   flow
	cage   *cage // nil for none
	exit   Exit

	begun    time.Time
	deadline time.Time // of the program; zero for none
	killAt   time.Time // end of grace; zero while the program is not being stopped
	killed   bool
	limits   []rlimit
	hunted   map[int]uint64 // what was killed besides the group, see hunt
	meter    meter
	quiet    quiet
	pause    pause
}

// start makes the pipes and starts the program.
func start(spec Spec) (*group, error) {
	closeInherited()
	gear, err := newGear()
	if err != nil {
		return nil, err
	}
	g := &group{spec: spec, gear: gear, mark: newMark(), begun: time.Now()}
	g.events.emit = spec.Event
	if spec.Timeout > 0 {
		g.deadline = g.begun.Add(spec.Timeout)
	}
	g.quiet.start(spec.Stall, g.begun)
	if !spec.uncaged {
		g.cage = takeCage()
	}
	for i := range g.fds {
		g.fds[i] = unix.PollFd{Fd: -1, Events: unix.POLLIN}
	}
	g.fds[fdStdin].Events = unix.POLLOUT
	g.fds[fdWake].Fd = int32(gear.waker.r)
	if err := g.launch(); err != nil {
		g.release()
		return nil, err
	}
	if spec.OnStart != nil {
		spec.OnStart(g.pid)
	}
	return g, nil
}

// launch opens the child's four descriptors, forks, and closes them here.
func (g *group) launch() error {
	var child [4]int // the child's 0 to 3
	for i := range child {
		child[i] = -1
	}
	defer func() {
		for i, fd := range child {
			if fd >= 0 && (i > 0 || g.spec.StdinFile == nil) {
				_ = unix.Close(fd)
			}
		}
	}()
	if err := g.openStdin(&child[0]); err != nil {
		return err
	}
	for i, at := range [...]int{fdStdout, fdStderr, fdEvents} {
		r, w, err := pipe()
		if err != nil {
			return err
		}
		// Our ends may block: they are read only where poll found something.
		child[i+1], g.fds[at].Fd = w, int32(r)
	}
	err := g.fork([]uintptr{uintptr(child[0]), uintptr(child[1]), uintptr(child[2]), uintptr(child[3])})
	runtime.KeepAlive(g.spec.StdinFile)
	return err
}

// openStdin prepares the child's standard input. What fits into the pipe is
// written before the child exists, which for most inputs is all.
func (g *group) openStdin(child *int) error {
	if g.spec.StdinFile != nil {
		*child = int(g.spec.StdinFile.Fd())
		return nil
	}
	r, w, err := pipe()
	if err != nil {
		return err
	}
	*child, g.fds[fdStdin].Fd = r, int32(w)
	if _, err := unix.FcntlInt(uintptr(w), unix.F_SETFL, unix.O_NONBLOCK); err != nil {
		return err
	}
	g.stdin = g.spec.Stdin
	g.feed()
	return nil
}

// fork starts the program, again for a while where its file is still being
// written. The thread is that of Run, which is locked.
func (g *group) fork(files []uintptr) error {
	if err := noNewPrivileges(); err != nil {
		return err
	}
	env := g.environment()
	argv := append([]string{g.spec.Name}, g.spec.Args...)
	for try := 0; ; try++ {
		pidfd := -1
		attr := &syscall.ProcAttr{Dir: g.spec.Dir, Env: env, Files: files, Sys: sysProcAttr(&pidfd)}
		pid, err := g.forkExec(argv, attr)
		if err == nil {
			return g.adopt(pid, pidfd)
		}
		if err != syscall.ETXTBSY || try == 10 {
			return &os.PathError{Op: "exec", Path: g.spec.Path, Err: err}
		}
		time.Sleep(time.Duration(try+1) * time.Millisecond)
	}
}

// forkExec starts the program in its cage. Where that fails it tries without:
// the error does not tell which of fork and exec it is about.
func (g *group) forkExec(argv []string, attr *syscall.ProcAttr) (int, error) {
	leaders.beginFork()
	g.cage.limitMemory(g.spec.MemoryLimit)
	g.cage.join(attr.Sys)
	pid, err := syscall.ForkExec(g.spec.Path, argv, attr)
	if g.cage != nil && err != nil && err != syscall.ETXTBSY {
		leave(attr.Sys)
		if pid, err = syscall.ForkExec(g.spec.Path, argv, attr); err == nil {
			g.cage.discard()
			g.cage = nil
		}
	}
	leaders.endFork(pid)
	return pid, err
}

// environment is that of the caller and what is ours. Of two entries for one
// name programs take the first or the last as they like, so ours must be alone.
func (g *group) environment() []string {
	env := make([]string, 0, len(g.spec.Env)+2)
	for _, e := range g.spec.Env {
		if !strings.HasPrefix(e, EventsVar+"=") && !strings.HasPrefix(e, MarkVar+"=") {
			env = append(env, e)
		}
	}
	return append(env, EventsVar+"=/dev/fd/3", g.mark)
}

// adopt takes charge of the new process.
func (g *group) adopt(pid, pidfd int) error {
	g.pid = pid
	fd, err := exitFD(pid, pidfd)
	if err == nil {
		g.fds[fdExit].Fd = int32(fd)
		err = g.limit()
	}
	if err != nil {
		g.kill()
		g.cage.end(time.Now().Add(endFor))
		reap(pid)
		leaders.remove(pid)
	}
	return err
}

// signal sends sig to the group, and to the leader in case that it changed its
// group. It is never called after the leader was reaped, when the numbers may
// belong to somebody else.
func (g *group) signal(sig syscall.Signal) {
	_ = unix.Kill(-g.pid, sig)
	_ = unix.Kill(g.pid, sig)
}

// kill ends all that can be found of the program.
func (g *group) kill() {
	g.killed = true
	if !g.cage.kill() {
		g.hunted = hunt(g.pid, g.mark)
	}
	g.signal(unix.SIGKILL)
}

func (g *group) closeFD(at int) {
	if fd := g.fds[at].Fd; fd >= 0 {
		_ = unix.Close(int(fd))
		g.fds[at].Fd = -1
	}
}

// release closes what is open and gives the gear back.
func (g *group) release() {
	g.unhold()
	g.fds[fdWake].Fd = -1 // belongs to the gear
	for i := range g.fds {
		g.closeFD(i)
	}
	gears.Put(g.gear)
	g.gear = nil
	g.cage.give()
	g.cage = nil
}
