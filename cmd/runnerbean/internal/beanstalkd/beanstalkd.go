// Package beanstalkd starts a private beanstalkd for dev and bench.
package beanstalkd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// Server is a beanstalkd that runs as a child process. The caller stops it after the
// node, so that the last messages of the node reach it.
type Server struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

// Start starts beanstalkd at an address, with its binlog in a folder. What it says goes
// to stderr. The caller calls Stop.
func Start(addr, binlog string, stderr io.Writer, log *slog.Logger) (*Server, error) {
	listen := []string{"-l", addr}
	if network, _ := queue.Network(addr); network == "tcp" {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("beanstalkd: %w", err)
		}
		listen = []string{"-l", host, "-p", port}
	}
	path, err := exec.LookPath("beanstalkd")
	if err != nil {
		return nil, errors.New("beanstalkd is not installed: apt-get install beanstalkd (macOS: brew install beanstalkd)")
	}
	if err := checkFree(addr); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(binlog, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, append(listen, "-b", binlog)...)
	cmd.Stderr = stderr
	endWithParent(cmd)
	b := &Server{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go b.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("beanstalkd: %w", err)
	}
	log.Info("beanstalkd is started", "address", addr, "pid", cmd.Process.Pid)
	return b, nil
}

// run starts the child and waits for its end on one locked thread. The kernel ends the
// child when the thread that started it ends.
func (b *Server) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := b.cmd.Start()
	started <- err
	if err == nil {
		b.err = b.cmd.Wait()
	}
	close(b.exited)
}

// checkFree returns an error if another server answers at addr.
func checkFree(addr string) error {
	network, address := queue.Network(addr)
	if network == "unix" {
		// A killed beanstalkd leaves its socket, on which no process answers.
		if conn, err := net.Dial(network, address); err == nil {
			return errors.Join(conn.Close(), fmt.Errorf("beanstalkd: another server answers at %s: set RUNNERBEAN_BEANSTALKD to another address, or use \"runnerbean worker\"", addr))
		}
		if info, err := os.Lstat(address); err == nil && info.Mode().Type() == os.ModeSocket {
			return os.Remove(address)
		}
		return nil
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return fmt.Errorf("beanstalkd: %w (another server may be running: set RUNNERBEAN_BEANSTALKD to a free address, or use \"runnerbean worker\" with that server)", err)
	}
	return listener.Close()
}

// PID returns the id of the child.
func (b *Server) PID() int { return b.cmd.Process.Pid }

// Wait waits until ctx or beanstalkd ends. If beanstalkd ends first, Wait calls cancel
// and returns an error.
func (b *Server) Wait(ctx context.Context, cancel context.CancelFunc) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.exited:
		cancel()
		return fmt.Errorf("beanstalkd has ended: %w", orEnded(b.err))
	}
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// Stop ends the child with SIGINT, or after five seconds with SIGKILL.
func (b *Server) Stop() {
	b.cmd.Process.Signal(os.Interrupt)
	select {
	case <-b.exited:
	case <-time.After(5 * time.Second):
		b.cmd.Process.Kill()
		<-b.exited
	}
}

// FreeAddr returns an address of this machine that is free.
func FreeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
