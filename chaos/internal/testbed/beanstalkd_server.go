package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// Server is a beanstalkd that syncs its binlog at every write.
type Server struct {
	Process *Process
	Addr    string
	Binlog  string
}

// NewServer returns a server that is not started. It may get more environment.
func (bed *Testbed) NewServer(name string, env ...string) (*Server, error) {
	path, err := exec.LookPath("beanstalkd")
	if err != nil {
		return nil, err
	}
	addr, err := bed.Addr(name)
	if err != nil {
		return nil, err
	}
	binlog, err := bed.Folder("binlog-" + name)
	if err != nil {
		return nil, err
	}
	host, number := Split(addr)
	p := bed.process(name, path, []string{"-l", host, "-p", number, "-b", binlog, "-f0"}, env)
	return &Server{Process: p, Addr: addr, Binlog: binlog}, nil
}

// Up starts the server and waits until it answers.
func (s *Server) Up(ctx context.Context) error {
	if err := s.Process.Start(); err != nil {
		return err
	}
	return s.Ready(ctx)
}

// Ready waits until the server answers.
func (s *Server) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return Until(ctx, 5*time.Millisecond, s.Process.Name+" answers", func() bool {
		c, err := DialBeanstalkd(s.Addr)
		if err != nil {
			return false
		}
		defer c.Close()
		if _, err = c.stats("stats"); err != nil {
			return false
		}
		s.Process.bed.History.Note(check.Event{What: check.Up, Who: s.Process.Name})
		return true
	})
}

// DeleteBinlog deletes the binlog of a stopped server.
func (s *Server) DeleteBinlog() error {
	s.Process.bed.History.Note(check.Event{What: check.Wipe, Who: s.Process.Name})
	files, err := filepath.Glob(filepath.Join(s.Binlog, "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}
