package worker

import (
	"os"
	"slices"
	"strconv"
)

// scratchEntry is in the environment of every program of a node, and of no
// other process: by it the node's next life finds what a killed one left.
func scratchEntry(scratch string) string { return "RUNNERBEAN_SCRATCH=" + scratch }

// path is where the program looks for others.
func (m *manifest) path() string {
	if path, ok := os.LookupEnv("PATH"); ok && slices.Contains(m.Environment, "PATH") {
		return path
	}
	return defaultPath
}

// environment is all that a program sees of the node's world: nothing is
// inherited but what its program.json names.
func (a *attempt) environment() []string {
	p, job, dir := a.program, &a.job, a.dir
	env := make([]string, 0, 11+len(p.manifest.Environment))
	env = append(env,
		"PATH="+defaultPath,
		"LANG=C.UTF-8",
		"HOME="+dir,
		"TMPDIR="+dir+"/tmp",
		"RUNNERBEAN_JOB_ID="+job.ID,
		"RUNNERBEAN_ATTEMPT="+strconv.Itoa(a.record.Attempt),
		"RUNNERBEAN_PROGRAM="+p.about.Name,
		"RUNNERBEAN_RESULT_URL="+job.Result.URL,
		scratchEntry(a.cfg.Scratch),
	)
	if a.span.parent != "" {
		env = append(env, "TRACEPARENT="+a.span.parent)
	}
	for _, name := range p.manifest.Environment {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
