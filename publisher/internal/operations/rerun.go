package operations

import (
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// rerun returns a new job that repeats j under a new id and URL, because a result
// never changes. The new job names j in RerunOf. It has no NotBefore and Expires,
// which bound j to its time, and does not repeat: the loop of j goes on or has ended. Its needs have succeeded, and the program finds what they left.
func rerun(j jobs.Job, id string, now time.Time) jobs.Job {
	j.Result.URL = strings.TrimSuffix(j.Result.URL, j.ID) + id
	j.ID, j.RerunOf, j.Repeat = id, j.ID, 0
	j.Created, j.NotBefore, j.Expires = now.UTC().Truncate(time.Millisecond), time.Time{}, time.Time{}
	return j
}
