package jobs

import (
	"strings"
	"time"
)

// Rerun is a new job that does again what j did, from its first step: a result
// never changes, so a success is repeated under a new id and URL. The new job
// names j in RerunOf. What bound j to its own time and to other jobs is left
// out: NotBefore, Expires and Needs.
func (j Job) Rerun(now time.Time) Job { return j.RerunAs(NewID(), now) }

// RerunAs is [Job.Rerun] with the id of the new job.
func (j Job) RerunAs(id string, now time.Time) Job {
	j.Result.URL = strings.TrimSuffix(j.Result.URL, j.ID) + id
	j.ID, j.RerunOf = id, j.ID
	j.Created, j.NotBefore, j.Expires, j.Needs = createdAt(now), time.Time{}, time.Time{}, nil
	return j
}
