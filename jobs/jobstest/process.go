package jobstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

const (
	// patience bounds the start of a node. It is long because a busy machine is slow.
	patience = time.Minute
	// endTime is how long a node may take to end after SIGINT, or it is killed.
	endTime = 10 * time.Second
	// keptLog is how many of the last bytes of a node's log a failed test shows.
	keptLog = 64 << 10
)

// life is a process from its start to its end.
type life struct {
	cmd   *exec.Cmd
	log   tail
	ended chan struct{}
}

var errEnded = errors.New("the node ended at its start")

// begin starts a process. One thread stays with it, because the kernel ends the process
// when the thread that has started it ends.
func begin(cmd *exec.Cmd) (*life, error) {
	l := &life{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &l.log, &l.log
	endWithParent(cmd)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(l.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return l, <-started
}

// ready waits until a URL answers with 200.
func (l *life) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if answers(ctx, client, url) {
			return nil
		}
		select {
		case <-tick.C:
		case <-l.ended:
			return fmt.Errorf("%w: %s", errEnded, l.log.String())
		case <-ctx.Done():
			return fmt.Errorf("the node is not ready after %v: %s", patience, l.log.String())
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// end ends the process, and waits until it has.
func (l *life) end() {
	_ = l.cmd.Process.Signal(os.Interrupt)
	select {
	case <-l.ended:
	case <-time.After(endTime):
		_ = l.cmd.Process.Kill()
		<-l.ended
	}
}

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - keptLog; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
