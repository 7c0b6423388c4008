package check

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// story builds a history. Its times are milliseconds.
type story []Event

func (s *story) at(ms int64, e Event) *story {
	e.T = ms * int64(time.Millisecond)
	*s = append(*s, e)
	return s
}

// begin returns a story with two nodes and a server.
func begin(scenario string) *story {
	s := &story{}
	s.at(0, Event{What: Scenario, Who: scenario})
	for _, who := range []string{"node1", "node2"} {
		s.at(0, Event{What: Start, Who: who, N: 2}).at(1, Event{What: Up, Who: who})
	}
	s.at(0, Event{What: Start, Who: "beanstalkd"}).at(1, Event{What: Up, Who: "beanstalkd"})
	return s
}

func (s *story) post(ms int64, job string) *story {
	return s.at(ms, Event{What: Post, Who: "node1", Job: job, Status: 201})
}

func (s *story) run(from, to int64, job, node string, attempt int) *story {
	s.at(from, Event{What: Run, Who: node, Job: job, Attempt: attempt})
	if to > 0 {
		s.at(to, Event{What: Ran, Who: node, Job: job, Attempt: attempt})
	}
	return s
}

func (s *story) get(ms int64, job string, status int, state, sum string) *story {
	return s.at(ms, Event{What: Get, Who: "node2", Job: job, Status: status, State: state, Sum: sum})
}

// good adds a job that is posted, runs once and succeeds.
func (s *story) good(ms int64, job string) *story {
	return s.post(ms, job).get(ms+5, job, 202, "queued", "").run(ms+10, ms+20, job, "node1", 1).
		get(ms+30, job, 200, "succeeded", "aa").get(ms+90, job, 200, "succeeded", "aa")
}

func (s *story) finish() []Event {
	s.at(200_000, Event{What: End})
	return *s
}

// faults returns the names of the figures that failed.
func faults(events []Event) []string {
	var names []string
	for _, f := range Check(events) {
		if !f.OK {
			names = append(names, f.Name)
		}
	}
	return names
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const (
		open     = "accepted jobs that did not end"
		two      = "result URLs with more than one content"
		back     = "answers that went back from succeeded"
		failed   = "jobs that failed"
		extra    = "extra runs"
		noReason = "extra runs without a reason"
		unknown  = "jobs that were known and then unknown"
	)
	most := 10.0
	tests := map[string]struct {
		story *story
		want  []string
	}{
		"all well":                             {begin("c1").good(10, "a").good(20, "b"), nil},
		"nothing happened":                     {begin("c1"), []string{"jobs accepted"}},
		"a posted job is never heard of again": {begin("c1").good(10, "a").post(50, "b"), []string{open}},
		"a job stays in the queue":             {begin("c1").post(10, "a").get(20, "a", 202, "queued", ""), []string{open}},
		"a job is known once and then gone": {
			begin("c1").good(5, "b").at(10, Event{What: Put, Who: "beanstalkd", Job: "a"}).get(20, "a", 202, "queued", "").get(30, "a", 404, "", ""),
			[]string{open, unknown},
		},
		"a job ends, but not well": {begin("c1").post(10, "a").get(20, "a", 200, "failed", ""), []string{failed}},
		"the content changes":      {begin("c1").good(10, "a").get(200, "a", 200, "succeeded", "bb"), []string{two}},
		"the content changes and changes back": {
			begin("c1").good(10, "a").get(200, "a", 200, "succeeded", "bb").get(300, "a", 200, "succeeded", "aa"), []string{two},
		},
		"from succeeded to running": {begin("c1").good(10, "a").get(200, "a", 202, "running", "").get(210, "a", 200, "succeeded", "aa"), []string{back}},
		"from succeeded to an error of the server": {
			begin("c1").good(10, "a").get(200, "a", 500, "", "").get(210, "a", 200, "succeeded", "aa"), []string{back},
		},
		"a slow answer that was asked for before": {
			begin("c1").at(35, Event{What: Get, Job: "a", Status: 202, State: "running", Took: int64(time.Second)}).good(10, "a"), nil,
		},
		"no answer while the database is away": {
			begin("c16").good(10, "a").at(150, Event{What: Start, Who: Database}).at(190, Event{What: Kill, Who: Database}).
				get(200, "a", 503, "", "").at(300, Event{What: Up, Who: Database}).get(310, "a", 503, "", "").get(400, "a", 200, "succeeded", "aa"), nil,
		},
		"no answer that was asked for just before the database went away": {
			begin("c16").good(10, "a").at(150, Event{What: Start, Who: Database}).at(190, Event{What: Kill, Who: Database}).
				at(189, Event{What: Get, Job: "a", Status: 503, Took: int64(10 * time.Millisecond)}).at(300, Event{What: Up, Who: Database}).get(400, "a", 200, "succeeded", "aa"), nil,
		},
		"no answer before the database went away": {
			begin("c16").good(10, "a").at(150, Event{What: Start, Who: Database}).at(190, Event{What: Kill, Who: Database}).
				at(179, Event{What: Get, Job: "a", Status: 503, Took: int64(10 * time.Millisecond)}).at(300, Event{What: Up, Who: Database}).get(400, "a", 200, "succeeded", "aa"), []string{back},
		},
		"a balancer without a node": {
			begin("c17").good(10, "a").at(200, Event{What: Get, Who: Balancer, Job: "a", Status: 502}).get(210, "a", 200, "succeeded", "aa"), nil,
		},
		"a balancer whose node answers an error": {
			begin("c17").good(10, "a").at(200, Event{What: Get, Who: Balancer, Job: "a", Status: 500}).get(210, "a", 200, "succeeded", "aa"), []string{back},
		},
		"no answer while the database is there": {
			begin("c16").good(10, "a").at(20, Event{What: Start, Who: Database}).at(190, Event{What: Kill, Who: Database}).
				get(200, "a", 202, "queued", "").at(300, Event{What: Up, Who: Database}).get(1400, "a", 503, "", "").get(1500, "a", 200, "succeeded", "aa"), []string{back},
		},
		"no answer is no way back": {begin("c1").good(10, "a").get(200, "a", 0, "", ""), nil},
		"the result of another job": {
			begin("c1").good(10, "a").at(300, Event{What: Get, Job: "a", Status: 200, State: "succeeded", Sum: "aa", Text: "of another job"}),
			[]string{"wrong answers"},
		},
		"run again for no reason": {begin("c1").good(10, "a").run(50, 60, "a", "node2", 2), []string{extra, noReason}},
		"run again because its node was killed": {
			begin("c1").post(10, "a").run(20, 0, "a", "node1", 1).at(30, Event{What: Kill, Who: "node1"}).
				run(40, 50, "a", "node2", 2).get(60, "a", 200, "succeeded", "aa"), nil,
		},
		"run again because another node was killed": {
			begin("c1").post(10, "a").run(20, 0, "a", "node1", 1).run(21, 0, "b", "node2", 1).at(30, Event{What: Kill, Who: "node2"}).
				run(40, 50, "a", "node2", 2).get(60, "a", 200, "succeeded", "aa"), []string{noReason},
		},
		"run again because the database crashed": {
			begin("c16").post(10, "a").at(15, Event{What: Start, Who: Database}).run(20, 0, "a", "node1", 1).at(30, Event{What: Kill, Who: Database}).
				at(35, Event{What: Up, Who: Database}).run(40, 50, "a", "node2", 2).get(60, "a", 200, "succeeded", "aa"), nil,
		},
		"run again because beanstalkd was killed": {
			begin("c1").post(10, "a").run(20, 0, "a", "node1", 1).at(30, Event{What: Kill, Who: "beanstalkd"}).
				run(40, 50, "a", "node2", 2).get(60, "a", 200, "succeeded", "aa"), []string{extra, noReason},
		},
		"run again long after its end": {
			begin("c1").good(10, "a").at(5000, Event{What: Kill, Who: "node1"}).run(5050, 5060, "a", "node2", 2), []string{extra, noReason},
		},
		"run again by the next version after a kill": {
			begin("c18").post(10, "a").run(20, 25, "a", "node1", 1).at(900, Event{What: Kill, Who: "node1"}).at(990, Event{What: Up, Who: "node1"}).
				run(1000, 1010, "a", "node2", 2).get(1100, "a", 200, "succeeded", "aa"), nil,
		},
		"run again by the next version for no reason": {
			begin("c18").good(10, "a").at(900, Event{What: Kill, Who: "node1"}).run(1000, 1010, "a", "node2", 2), []string{"extra runs of jobs whose node was not killed"},
		},
		"run again by the next version after the end of another node": {
			begin("c18").post(10, "a").run(20, 25, "a", "node1", 1).at(30, Event{What: Kill, Who: "node2"}).
				run(1000, 1010, "a", "node2", 2).get(1100, "a", 200, "succeeded", "aa"), []string{"extra runs of jobs whose node was not killed"},
		},
		"run again because it failed": {
			begin("c1").post(10, "a").at(20, Event{What: Run, Who: "node1", Job: "a", Attempt: 1}).
				at(30, Event{What: Ran, Who: "node1", Job: "a", Attempt: 1, Status: 75}).
				run(40, 50, "a", "node2", 2).get(60, "a", 200, "succeeded", "aa"), nil,
		},
		"too many runs for one kill": {
			begin("c1").post(10, "a").run(20, 0, "a", "node1", 1).at(30, Event{What: Kill, Who: "node1"}).
				run(40, 50, "a", "node2", 2).run(55, 58, "a", "node2", 3).get(60, "a", 200, "succeeded", "aa"), []string{extra, noReason},
		},
		"a node ends by itself": {
			begin("c1").good(10, "a").at(99, Event{What: Died, Who: "node1", Text: "exit status 2"}), []string{"processes that ended by themselves"},
		},
		"a put is lost with beanstalkd": {
			begin("c1").good(5, "b").at(10, Event{What: Put, Who: "beanstalkd", Job: "a"}).at(20, Event{What: Kill, Who: "beanstalkd"}), nil,
		},
		"a put is lost whose answer came as beanstalkd died": {
			begin("c1").good(5, "b").at(10, Event{What: Put, Who: "beanstalkd", Job: "a", Took: int64(time.Second)}).
				at(15, Event{What: Inbox, Who: "beanstalkd"}).at(20, Event{What: Kill, Who: "beanstalkd"}), nil,
		},
		"a put is lost without reason": {
			begin("c1").good(5, "b").at(10, Event{What: Put, Who: "beanstalkd", Job: "a"}), []string{open},
		},
		"a put is lost after it was taken": {
			begin("c1").good(5, "b").at(10, Event{What: Put, Who: "beanstalkd", Job: "a"}).
				at(15, Event{What: Inbox, Who: "beanstalkd"}).at(20, Event{What: Kill, Who: "beanstalkd"}), []string{open},
		},
		"a put is lost with a node": {
			begin("c1").good(5, "b").at(10, Event{What: Put, Who: "beanstalkd", Job: "a"}).at(20, Event{What: Kill, Who: "node1"}), []string{open},
		},
		"loss where loss is wanted":    {begin("c3").good(10, "a").post(50, "b"), nil},
		"no loss where loss is wanted": {begin("c3").good(10, "a"), []string{open}},
		"a stopped node yields": {
			begin("c5").at(0, Event{What: Target, N: 1}).post(10, "a").at(20, Event{What: Run, Who: "node1", Job: "a", Attempt: 1}).
				at(30, Event{What: Stop, Who: "node1"}).at(35, Event{What: Ran, Who: "node1", Job: "a", Attempt: 1}).
				run(40, 50, "a", "node2", 2).at(60, Event{What: Continue, Who: "node1"}).get(70, "a", 200, "succeeded", "aa"), nil,
		},
		"a stopped node goes on before another has its job": {
			begin("c5").at(0, Event{What: Target, N: 1}).post(10, "a").run(20, 55, "a", "node1", 1).
				at(30, Event{What: Stop, Who: "node1"}).at(40, Event{What: Continue, Who: "node1"}).get(70, "a", 200, "succeeded", "aa"),
			[]string{"attempts that a stopped node had to yield", "of them with a program that had ended meanwhile"},
		},
		"a stopped node starts a program when it continues": {
			begin("c5").post(10, "a").at(30, Event{What: Stop, Who: "node1"}).run(40, 80, "a", "node2", 2).
				at(60, Event{What: Continue, Who: "node1"}).at(65, Event{What: Run, Who: "node1", Job: "a", Attempt: 1}).get(90, "a", 200, "succeeded", "aa"),
			[]string{"of them with a program that had ended meanwhile"},
		},
		"a node that was not stopped starts an old attempt": {
			begin("c5").post(10, "a").at(30, Event{What: Stop, Who: "node2"}).at(35, Event{What: Continue, Who: "node2"}).run(40, 80, "a", "node2", 2).
				at(65, Event{What: Run, Who: "node1", Job: "a", Attempt: 1}).get(90, "a", 200, "succeeded", "aa"),
			[]string{"of them with a program that had ended meanwhile", extra, noReason},
		},
		"a message is deleted too early": {
			begin("c7").post(10, "a").at(20, Event{What: Deleted, Who: "node1", Job: "a"}).run(40, 50, "a", "node2", 1).
				get(60, "a", 200, "succeeded", "aa").at(70, Event{What: Tube, Who: "t"}), []string{"messages deleted whose job ran afterwards"},
		},
		"messages are left": {
			begin("c7").good(10, "a").at(50, Event{What: Deleted, Who: "node1", Job: "a"}).
				at(60, Event{What: Tube, Who: "t", N: 3}), []string{"messages left in the end"},
		},
		"too few cuts": {
			begin("c7").at(0, Event{What: Target, N: 2}).at(5, Event{What: Cut}).good(10, "a").at(50, Event{What: Deleted, Who: "node1", Job: "a"}).
				at(60, Event{What: Tube, Who: "t"}), []string{"connections cut"},
		},
		"a measure over its limit":  {begin("c6").at(9, Event{What: Measure, Text: "processes left", N: 11, Most: &most}), []string{"processes left"}},
		"a measure under its limit": {begin("c6").at(9, Event{What: Measure, Text: "rounds", N: 9, Least: &most}), []string{"rounds"}},
		"a measure without a limit": {begin("c6").at(9, Event{What: Measure, Text: "mood", N: 9}), []string{"mood"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, faults(sorted(test.story.finish()))); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHistoryThatBreaksOff(t *testing.T) {
	t.Parallel()
	if got := faults(*begin("c1").good(10, "a")); len(got) != 1 || got[0] != "the history is whole" {
		t.Errorf("faults %q", got)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	text := `{"t":2,"what":"kill","who":"node1"}` + "\n" + `{"t":1,"what":"start","who":"node1","n":2}` + "\n"
	got, err := Read(strings.NewReader(text))
	want := []Event{{T: 1, What: Start, Who: "node1", N: 2}, {T: 2, What: Kill, Who: "node1"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := Read(strings.NewReader(text + `{"t":`)); err == nil {
		t.Error("half a line is read as a whole one")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"t":2,"what":"kill","who":"node1"}`))
	f.Add([]byte(`{"t":1,"what":"get","job":"a","status":200,"state":"succeeded"}` + "\n" + `{"t":1,"what":"run","job":"a"}`))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if events, err := Read(strings.NewReader(string(text))); err == nil {
			Check(events)
		}
	})
}
