package worker

import (
	"os"
	"strconv"

	"github.com/runnerbean/runnerbean/jobs"
)

// environment is all that a program sees of the node's world: nothing is
// inherited but what its program.json names.
func environment(p *program, job *jobs.Job, attempt int, dir string) []string {
	env := make([]string, 0, 10+len(p.manifest.Environment))
	env = append(env,
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"LANG=C.UTF-8",
		"HOME="+dir,
		"TMPDIR="+dir+"/tmp",
		"RUNNERBEAN_JOB_ID="+job.ID,
		"RUNNERBEAN_ATTEMPT="+strconv.Itoa(attempt),
		"RUNNERBEAN_PROGRAM="+p.about.Name,
		"RUNNERBEAN_RESULT_URL="+job.Result.URL,
	)
	if job.Traceparent != "" {
		env = append(env, "TRACEPARENT="+job.Traceparent)
	}
	for _, name := range p.manifest.Environment {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
