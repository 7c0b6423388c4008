package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// server is a beanstalkd with a binlog that is synced at every write.
type server struct {
	*process
	addr   string
	binlog string
}

// beanstalkd makes a server; start starts it. More environment may be given.
func (r *rig) beanstalkd(name string, env ...string) (*server, error) {
	path, err := exec.LookPath("beanstalkd")
	if err != nil {
		return nil, err
	}
	addr, err := r.port()
	if err != nil {
		return nil, err
	}
	binlog, err := r.folder("binlog-" + name)
	if err != nil {
		return nil, err
	}
	host, number := split(addr)
	p := r.process(name, path, []string{"-l", host, "-p", number, "-b", binlog, "-f0"}, env)
	return &server{process: p, addr: addr, binlog: binlog}, nil
}

// up starts the server and waits until it answers.
func (s *server) up(ctx context.Context) error {
	if err := s.start(); err != nil {
		return err
	}
	return s.ready(ctx)
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return until(ctx, 5*time.Millisecond, s.name+" answers", func() bool {
		c, err := dialBeanstalkd(s.addr)
		if err != nil {
			return false
		}
		defer c.close()
		if _, err = c.stats("stats"); err != nil {
			return false
		}
		s.rig.note(check.Event{What: check.Up, Who: s.name})
		return true
	})
}

// wipe deletes the binlog of a server that does not run.
func (s *server) wipe() error {
	s.rig.note(check.Event{What: check.Wipe, Who: s.name})
	files, err := filepath.Glob(filepath.Join(s.binlog, "*"))
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
