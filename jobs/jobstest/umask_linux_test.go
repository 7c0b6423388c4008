package jobstest_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// TestProgramsWhateverTheUmask starts a node where new files may be written by everybody.
// It is not parallel, because the umask is that of the process.
func TestProgramsWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	node := jobstest.Start(t, upper, countProgram(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, program := range []string{"upper", "count"} {
		job := enqueue(t, node.Client, jobs.Job{Program: program, Input: jobs.Data([]string{"a"})})
		res, err := node.Client.Wait(ctx, job.Result.URL)
		if err != nil || res.State != jobs.Succeeded {
			t.Errorf("%s: %s, %v, %+v", program, res.State, err, res.Error)
		}
	}
}
