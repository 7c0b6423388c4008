package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestRestartedNodeEndsWhatItsLastInstanceLeft checks that a child outside of the
// program's process group ends when a killed node starts again.
func TestRestartedNodeEndsWhatItsLastInstanceLeft(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	url := p.submit("strays", "1")
	var child string
	p.until("the child's number", func() bool {
		r, ok := p.get(url)
		child = r.Message
		return ok && child != ""
	})
	p.end(syscall.SIGKILL)
	// Another node that starts meanwhile may end it, too.
	p.start("worker")
	p.until("the end of process "+child, func() bool { return !alive(child) })
	if r := p.final(url); r.State != jobs.Succeeded {
		t.Errorf("state %s", r.State)
	}
}

// alive reports whether a process exists and is not a zombie.
func alive(pid string) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
