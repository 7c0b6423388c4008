package check

import "fmt"

// programKills demands enough kills of processes of programs, some of them while they ran a
// job.
func programKills(f *facts) []Figure {
	busy := f.runsAtKills()
	return append(wantAtLeast("processes of the program killed", len(f.programKills), f.target, ""),
		Figure{Name: "of them while they ran a job", Wanted: "some", Got: fmt.Sprint(busy), OK: busy > 0})
}

// warmRuns demands that processes run more than one job.
func warmRuns(f *facts) []Figure {
	runs, processes := 0, map[string]bool{}
	for _, j := range f.order {
		for _, r := range j.runs {
			runs++
			processes[fmt.Sprint(r.node, r.pid)] = true
		}
	}
	warm := runs - len(processes)
	return []Figure{{
		Name: "runs in a process that had run a job before", Wanted: "some", Got: fmt.Sprintf("%d of %d", warm, runs), OK: warm > 0,
	}}
}
