package worker

import (
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestRunsAJob(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("cat", "cat")
	r.start()
	id := r.submit(job("cat"))
	record := r.await(id, jobs.Succeeded)
	result := r.result(id)
	if string(result.Result) != `{"n":1}` || result.State != jobs.Succeeded || result.Attempt != 1 || record.Attempt != 1 {
		t.Errorf("got %+v", result)
	}
	r.tubeEmpty("cat")
}
