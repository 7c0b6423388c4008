package operations

import (
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// rerun returns a new job that repeats j under a new id and URL, because a result
// never changes. The new job names j in RerunOf. It has no NotBefore and Expires,
// which bound j to its time. Its needs have succeeded, and the program finds what they left.
func rerun(j jobs.Job, id string, now time.Time) jobs.Job {
	j.Result.URL = strings.TrimSuffix(j.Result.URL, j.ID) + id
	j.ID, j.RerunOf = id, j.ID
	j.Created, j.NotBefore, j.Expires = now.UTC().Truncate(time.Millisecond), time.Time{}, time.Time{}
	return j
}
