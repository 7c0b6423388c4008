package worker

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
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

// threadVars tell libraries and runtimes how many threads to start, which
// otherwise is one for each processor, in every slot.
var threadVars = []string{
	"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
	"NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS", "JULIA_NUM_THREADS", "GOMAXPROCS",
}

// environment is all that a program sees of the node's world: nothing is
// inherited but what its program.json names. Of a name there is one entry:
// programs would take the first or the last as they like.
func (a *attempt) environment() []string {
	passed := map[string]bool{}
	for _, name := range a.program.manifest.Environment {
		passed[name] = true
	}
	env := make([]string, 0, 12+len(threadVars)+len(passed))
	for _, entry := range a.defaults() {
		name, _, _ := strings.Cut(entry, "=")
		if _, there := os.LookupEnv(name); !passed[name] || !there {
			env = append(env, entry)
		}
	}
	share := strconv.Itoa(max(1, runtime.NumCPU()/max(1, a.Slots())))
	for _, name := range threadVars {
		if !passed[name] {
			env = append(env, name+"="+share)
		}
	}
	for name := range passed {
		if value, there := os.LookupEnv(name); there {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// defaults are the entries that every program has, where its program.json does
// not name the node's own.
func (a *attempt) defaults() []string {
	env := []string{
		"PATH=" + defaultPath,
		"LANG=C.UTF-8",
		"HOME=" + a.dir,
		"TMPDIR=" + a.dir + "/tmp",
		"RUNNERBEAN_JOB_ID=" + a.job.ID,
		"RUNNERBEAN_ATTEMPT=" + strconv.Itoa(a.record.Attempt),
		"RUNNERBEAN_PROGRAM=" + a.program.about.Name,
		"RUNNERBEAN_RESULT_URL=" + a.job.Result.URL,
		scratchEntry(a.cfg.Scratch),
	}
	if a.span.parent != "" {
		env = append(env, "TRACEPARENT="+a.span.parent)
	}
	return env
}
