// Package queuetest runs the real beanstalkd for tests, with a binlog of its
// own, and lets a test stop, kill and restart it.
package queuetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait: a busy machine may be slow, a test must end.
const patience = 20 * time.Second

// Server is a beanstalkd on a port of its own. Its methods are for one
// goroutine at a time.
type Server struct {
	// Addr is host:port or unix:/PATH, the same after a Restart.
	Addr string

	tb   testing.TB
	dir  string
	args []string
	run  *run
}

// run is one life of the process.
type run struct {
	cmd   *exec.Cmd
	log   bytes.Buffer // read it only once ended is closed
	ended chan struct{}
}

// Start starts beanstalkd with a binlog in a folder of the test and waits until
// it answers. args are added to its command line. The test's end ends it.
// Without an installed beanstalkd the test fails.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("beanstalkd"); err != nil {
		tb.Fatal("beanstalkd is not installed: apt-get install beanstalkd")
	}
	s := &Server{tb: tb, dir: tb.TempDir(), args: args}
	tb.Cleanup(s.Kill)
	const tries = 10 // another process may take the free port first
	var err error
	for range tries {
		s.Addr = freeAddr(tb)
		if err = s.start(); err == nil {
			return s
		}
	}
	tb.Fatalf("queuetest: %v", err)
	return nil
}

// dialed is what to dial for an address.
func dialed(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}

// StartUnix is Start for a beanstalkd that listens on a socket.
func StartUnix(tb testing.TB) *Server {
	tb.Helper()
	folder, err := os.MkdirTemp("", "rb") // a socket's path must be short
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, dir: tb.TempDir(), Addr: "unix:" + filepath.Join(folder, "b.sock")}
	tb.Cleanup(func() { os.RemoveAll(folder) })
	tb.Cleanup(s.Kill)
	if err := s.start(); err != nil {
		tb.Fatalf("queuetest: %v", err)
	}
	return s
}

// Stop ends beanstalkd with SIGTERM and waits for it. Its binlog stays.
func (s *Server) Stop() {
	s.tb.Helper()
	s.end(syscall.SIGTERM)
}

// Kill ends beanstalkd with SIGKILL and waits for it. Its binlog stays.
func (s *Server) Kill() {
	s.tb.Helper()
	s.end(syscall.SIGKILL)
}

// Restart starts beanstalkd on the same address and binlog, ending it before if
// it still runs, and waits until it answers.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.tb.Fatalf("queuetest: %v", err)
	}
}

// Signal sends a signal: SIGSTOP and SIGCONT make a server that hangs,
// SIGUSR1 one that drains.
func (s *Server) Signal(sig syscall.Signal) {
	s.tb.Helper()
	if s.run == nil {
		s.tb.Fatal("queuetest: beanstalkd does not run")
	}
	if err := s.run.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("queuetest: %v", err)
	}
	if sig == syscall.SIGSTOP {
		s.awaitStop()
	}
}

// awaitStop returns when the server is stopped: until then it may still answer.
func (s *Server) awaitStop() {
	s.tb.Helper()
	stat := fmt.Sprintf("/proc/%d/stat", s.run.cmd.Process.Pid)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(stat); err != nil || bytes.Contains(text, []byte(") T ")) {
			return
		}
		if time.Now().After(end) {
			s.tb.Fatal("queuetest: beanstalkd ignored SIGSTOP")
		}
	}
}

func (s *Server) end(sig syscall.Signal) {
	if s.run == nil {
		return
	}
	_ = s.run.cmd.Process.Signal(sig) // an error means that it has ended already
	select {
	case <-s.run.ended:
	case <-time.After(patience):
		_ = s.run.cmd.Process.Kill()
		<-s.run.ended
		s.tb.Errorf("queuetest: beanstalkd ignored %v", sig)
	}
	s.run = nil
}

func (s *Server) start() error {
	listen := []string{"-l", s.Addr}
	if network, _ := dialed(s.Addr); network == "tcp" {
		host, port, err := net.SplitHostPort(s.Addr)
		if err != nil {
			return err
		}
		listen = []string{"-l", host, "-p", port}
	}
	args := append(append(listen, "-b", s.dir), s.args...)
	r := &run{cmd: exec.Command("beanstalkd", args...), ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	killWithParent(r.cmd)
	if err := r.start(); err != nil {
		return err
	}
	if err := r.ready(s.Addr); err != nil {
		_ = r.cmd.Process.Kill()
		<-r.ended
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(r.log.String()))
	}
	s.run = r
	return nil
}

// start keeps the thread that made the process until the process has ended:
// the kernel sends the parent's death signal when that thread goes.
func (r *run) start() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(r.ended)
		err := r.cmd.Start()
		started <- err
		if err == nil {
			_ = r.cmd.Wait()
		}
	}()
	return <-started
}

// ready waits for an answer to stats: beanstalkd accepts connections while it
// still replays its binlog.
func (r *run) ready(addr string) error {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		// The pid tells our server from another that took the port first.
		if pid, ok := answers(addr, deadline); ok && pid == r.cmd.Process.Pid {
			return nil
		}
		select {
		case <-r.ended:
			return errors.New("beanstalkd ended at start")
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("beanstalkd does not answer on %s", addr)
		}
	}
}

// answers asks for the statistics and returns the server's process id.
func answers(addr string, deadline time.Time) (pid int, ok bool) {
	network, address := dialed(addr)
	conn, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return 0, false
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline)
	if _, err := conn.Write([]byte("stats\r\n")); err != nil {
		return 0, false
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if digits, found := strings.CutPrefix(lines.Text(), "pid: "); found {
			pid, err := strconv.Atoi(digits)
			return pid, err == nil
		}
	}
	return 0, false
}

// freeAddr returns an address below the range from which the kernel gives ports
// to outgoing connections: one of those could take it while the server is down.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	const lowest, count, tries = 20000, 12000, 100
	for range tries {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(count)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	tb.Fatal("queuetest: no free port")
	return ""
}
