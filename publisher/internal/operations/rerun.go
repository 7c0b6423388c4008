package operations

import (
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// rerun returns a new job that repeats j under a new id and URL, because a result
// never changes. The new job names j in RerunOf. It has no NotBefore, Expires and
// Needs, which bound j to its time and to other jobs.
func rerun(j jobs.Job, id string, now time.Time) jobs.Job {
	j.Result.URL = strings.TrimSuffix(j.Result.URL, j.ID) + id
	j.ID, j.RerunOf = id, j.ID
	j.Created, j.NotBefore, j.Expires, j.Needs = now.UTC().Truncate(time.Millisecond), time.Time{}, time.Time{}, nil
	j.NeedsTimeout = 0
	return j
}
