package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// stopTime is how long a child may take to stop after its signal.
const stopTime = 15 * time.Second

// family holds the processes that the demo has started.
type family struct {
	children []*child
	ended    chan string // names of the children that have ended
}

type child struct {
	name, log string
	cmd       *exec.Cmd
	done      chan struct{}
	err       error // the exit error; set before done is closed
}

// start runs a program with its output in a log file.
func (f *family) start(name, log string, env []string, path string, args ...string) error {
	file, err := os.Create(log)
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, file, file
	// Ctrl-C in a terminal must reach only the demo, which stops its children in order.
	cmd.SysProcAttr = groupOfItsOwn()
	c := &child{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go f.keep(c, started)
	if err := <-started; err != nil {
		return err
	}
	f.children = append(f.children, c)
	return nil
}

// keep starts a child and waits for it on one locked thread. Linux kills the child when
// the thread that started it ends, so a killed demo leaves no children.
func (f *family) keep(c *child, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err == nil {
		c.err = c.cmd.Wait()
		close(c.done)
		f.ended <- c.name
	}
}

// answers waits until url answers 200. It returns an error if a child ends before that.
func (f *family) answers(ctx context.Context, url string) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", url, ctx.Err())
		case name := <-f.ended:
			return fmt.Errorf("%s has ended by itself: %s", name, f.lastWords(name))
		case <-ticker.C:
		}
	}
}

// lastWords returns the end of a child's log.
func (f *family) lastWords(name string) string {
	for _, c := range f.children {
		if c.name == name {
			text, _ := os.ReadFile(c.log)
			return string(text[max(0, len(text)-2000):])
		}
	}
	return ""
}

// stop stops the children, the newest first, and waits for them.
func (f *family) stop() error {
	var errs []error
	for _, c := range slices.Backward(f.children) {
		if c.cmd.Process.Signal(syscall.SIGTERM) != nil {
			continue // it ended by itself, which was reported
		}
		select {
		case <-c.done:
			if c.err != nil {
				errs = append(errs, fmt.Errorf("%s did not end well (%w): %s", c.name, c.err, f.lastWords(c.name)))
			}
		case <-time.After(stopTime):
			errs = append(errs, fmt.Errorf("%s did not end in %s and was killed", c.name, stopTime))
			c.cmd.Process.Kill()
			<-c.done
		}
	}
	return errors.Join(errs...)
}
