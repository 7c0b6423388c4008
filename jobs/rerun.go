package jobs

import (
	"strings"
	"time"
)

// Rerun returns a new job that repeats j under a new id and URL, because a result
// never changes. The new job names j in RerunOf. It has no NotBefore, Expires and
// Needs, which bound j to its time and to other jobs.
func (j Job) Rerun(now time.Time) Job { return j.RerunAs(NewID(), now) }

// RerunAs is [Job.Rerun] with the id of the new job.
func (j Job) RerunAs(id string, now time.Time) Job {
	j.Result.URL = strings.TrimSuffix(j.Result.URL, j.ID) + id
	j.ID, j.RerunOf = id, j.ID
	j.Created, j.NotBefore, j.Expires, j.Needs = createdAt(now), time.Time{}, time.Time{}, nil
	j.NeedsTimeout = 0
	return j
}
