package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serve adds a run in process pid. It has no end where to is 0.
func (s *story) serve(from, to int64, job string, pid, attempt int) *story {
	s.at(from, Event{What: Run, Who: "node1", Job: job, Attempt: attempt, N: float64(pid)})
	if to > 0 {
		s.at(to, Event{What: Ran, Who: "node1", Job: job, Attempt: attempt, N: float64(pid)})
	}
	return s
}

func (s *story) killProgram(ms int64, pid int) *story {
	return s.at(ms, Event{What: KillProgram, N: float64(pid)})
}

func TestCheckStreams(t *testing.T) {
	t.Parallel()
	const (
		extra    = "extra runs"
		noReason = "extra runs without a reason"
		few      = "processes of the program killed"
		idle     = "of them while they ran a job"
		cold     = "runs in a process that had run a job before"
	)
	// warm has two jobs in process 7, and one kill of a busy process. Its job runs again.
	warm := func() *story {
		return begin("c15").at(0, Event{What: Target, N: 1}).
			post(5, "a").serve(10, 20, "a", 7, 1).get(30, "a", 200, "succeeded", "aa").
			post(5, "b").serve(40, 0, "b", 7, 1).killProgram(50, 7).serve(60, 70, "b", 8, 2).get(80, "b", 200, "succeeded", "bb")
	}
	for name, test := range map[string]struct {
		story *story
		want  []string
	}{
		"all well": {warm(), nil},
		"killed between the end of the run and its answer": {
			warm().post(90, "c").serve(100, 110, "c", 9, 1).killProgram(111, 9).serve(120, 130, "c", 10, 2).
				get(140, "c", 200, "succeeded", "cc"), nil,
		},
		"another process was killed": {
			warm().post(90, "c").serve(100, 0, "c", 9, 1).killProgram(110, 8).serve(120, 130, "c", 10, 2).
				get(140, "c", 200, "succeeded", "cc"), []string{extra, noReason},
		},
		"killed after the next run began": {
			warm().post(90, "c").serve(100, 0, "c", 9, 1).serve(120, 130, "c", 10, 2).killProgram(125, 9).
				get(140, "c", 200, "succeeded", "cc"), []string{noReason},
		},
		"killed before the run": {
			warm().post(90, "c").killProgram(95, 9).serve(100, 0, "c", 9, 1).serve(120, 130, "c", 10, 2).
				get(140, "c", 200, "succeeded", "cc"), []string{extra, noReason},
		},
		"killed long after the run": {
			warm().post(90, "c").serve(100, 110, "c", 9, 1).killProgram(2000, 9).serve(2010, 2020, "c", 10, 2).
				get(2030, "c", 200, "succeeded", "cc"), []string{extra, noReason},
		},
		"a kill of a program explains no lost put": {
			warm().at(90, Event{What: Put, Who: "beanstalkd", Job: "c"}).killProgram(95, 8), []string{"accepted jobs that did not end"},
		},
		"the process never serves a second job": {
			begin("c15").at(0, Event{What: Target, N: 1}).post(5, "b").serve(40, 0, "b", 7, 1).killProgram(50, 7).
				serve(60, 70, "b", 8, 2).get(80, "b", 200, "succeeded", "bb"), []string{cold},
		},
		"only idle processes are killed": {
			begin("c15").at(0, Event{What: Target, N: 1}).post(5, "a").serve(10, 20, "a", 7, 1).get(30, "a", 200, "succeeded", "aa").
				post(5, "b").serve(40, 50, "b", 7, 1).get(60, "b", 200, "succeeded", "bb").killProgram(900, 7), []string{idle},
		},
		"too few kills": {warm().at(0, Event{What: Target, N: 2}), []string{few}},
		"a job has two results": {
			warm().get(90, "b", 200, "succeeded", "cc"), []string{"result URLs with more than one content"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, faults(sorted(test.story.finish()))); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
