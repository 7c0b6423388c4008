package pages

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
)

// sampleOverview returns the overview of a busy pool.
func sampleOverview(now time.Time) api.Overview {
	job := func(n, program, node string, progress float64, message string, began time.Duration) jobs.Result {
		r := jobs.Result{
			ID: "019a8f3e-7c21-7b5e-9d3a-2f6f0c1d7f" + n, Program: program, State: jobs.Running, Timestamp: now, Created: now.Add(-began), Started: now.Add(-began),
			Attempt: 1, Node: node, Message: message,
		}
		if progress > 0 {
			r.Progress = ptr(progress)
		}
		return r
	}
	vitals := func(load float64, battery *api.Battery) *api.Vitals {
		return &api.Vitals{
			At: now, Load: [3]float64{load, load, load}, CPUs: 4, CPU: load / 4, MemoryTotal: 8_000_000_000, MemoryAvailable: 4_900_000_000,
			Disks: []api.Disk{{Path: "/data", Use: "data", Total: 200e9, Free: 61e9, Floor: 1e9}}, Battery: battery,
		}
	}
	node := func(name string, slots, running int, beat time.Duration, v *api.Vitals) api.Node {
		return api.Node{Name: name, Instance: name + "i", Alive: true, Slots: slots, Running: running, Programs: []string{"forecast", "render"}, Vitals: v, Installed: []api.Installed{{Name: "forecast"}, {Name: "render"}}, Started: now.Add(-time.Hour), Beat: now.Add(-beat), Seen: now.Add(-beat), Lapses: now.Add(20*time.Second - beat)}
	}
	o := api.Overview{
		At: now, Node: "worker1", Window: api.Window{Name: "1h", From: now.Add(-time.Hour), Until: now, Step: 60},
		Counts: map[jobs.State]int64{jobs.Succeeded: 128_400, jobs.Queued: 312, jobs.Running: 6, jobs.Failed: 301}, Slots: 8, Busy: 6,
		Queue: api.Queue{Queued: 312, Waiting: 4, Oldest: now.Add(-130 * time.Second), Programs: []api.ProgramQueue{
			{Program: "forecast", Queued: 300, Running: 2, Oldest: now.Add(-130 * time.Second)}, {Program: "render", Queued: 12, Running: 1, Waiting: 4, Oldest: now.Add(-20 * time.Second)},
		}},
		Ended: map[jobs.State]int64{jobs.Succeeded: 1281, jobs.Failed: 3}, LastHour: map[jobs.State]int64{jobs.Succeeded: 1281, jobs.Failed: 3},
		Failures:          map[jobs.Outcome]int64{jobs.OutcomeInput: 2, jobs.OutcomeTimeout: 1},
		Unfinished:        map[jobs.Outcome]int64{jobs.OutcomeError: 5, jobs.OutcomeLost: 1},
		FinishedByNode:    charttest.Waves([]string{"worker1", "worker2", "worker3"}, 60),
		FinishedByProgram: charttest.Waves([]string{"forecast", "render"}, 60),
		Depth:             charttest.Waves([]string{"queued", "running", "waiting"}, 60),
		Nodes: []api.Node{
			node("worker1", 3, 3, 2*time.Second, vitals(2.8, nil)), node("worker2", 3, 2, 4*time.Second, vitals(1.9, &api.Battery{Charge: 0.83})),
			node("worker3", 2, 1, 13*time.Second, nil),
		},
		Servers: []api.Server{
			{Addr: "10.0.0.5:11300", OK: true, State: api.ServerUp, Since: now.Add(-time.Hour), Version: "1.12", Ready: 312, Inbox: 7, Reserved: 6, Memory: 1_900_000},
			{Addr: "10.0.0.7:11300", OK: true, State: api.ServerFull, Since: now.Add(-time.Minute)},
			{Addr: "10.0.0.8:11300", OK: true, State: api.ServerDraining, Draining: true, Since: now.Add(-time.Minute)},
			{Addr: "10.0.0.9:11300", OK: true, State: api.ServerSlow, Since: now.Add(-time.Minute)},
			{Addr: "10.0.0.6:11300", State: api.ServerDown, Since: now.Add(-time.Minute), Error: "dial tcp 10.0.0.6:11300: connect: connection refused"},
		},
		Running: []jobs.Result{
			job("01", "forecast", "worker1", 0.72, "week 3", 100*time.Second), job("02", "forecast", "worker1", 0.35, "", 50*time.Second),
			job("03", "render", "worker2", 0.9, "frame 23", 45*time.Second), job("04", "sweep", "worker3", 0, "", 400*time.Second),
		},
		Events: []api.Event{
			{ID: "e1", At: now.Add(-9 * time.Second), Kind: "cancel-requested", Job: testID, By: "alice", Message: "no longer needed"},
			{ID: "e2", At: now.Add(-3 * time.Minute), Kind: "retrying", Job: testID, Node: "worker2", Message: "attempt 1: exit code 1; again in 20 s"},
			{ID: "e3", At: now.Add(-11 * time.Minute), Kind: "put-again", Message: "beanstalkd restarted; 14 messages put again"},
			{ID: "e4", At: now.Add(-29 * time.Minute), Kind: "lost", Job: testID, Node: "worker3", Message: "its node died"},
		},
	}
	o.Queue.Drained = &api.Drain{Since: now.Add(-time.Minute), Reason: "new <b>disks</b>"}
	o.Verdict = health.VerdictOf(o)
	return o
}

func renderOverview(t testing.TB, o api.Overview, by string) string {
	t.Helper()
	f := frame{Title: "Overview", Node: text.Line(o.Node, text.NameLimit), Verdict: verdictOf(o.Verdict, ""), CanAct: true, Who: "alice"}
	for _, n := range navigation {
		f.Nav = append(f.Nav, navLink{Path: n.path, Text: n.text, Here: n.here == "overview"})
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "overview.html", newOverviewView(f, o, by)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// aloud returns the text of markup, with a space before each element.
func aloud(markup string) string { return plainWords(strings.ReplaceAll(markup, "<", " <")) }

func TestOverviewSaysWhatIs(t *testing.T) {
	t.Parallel()
	page := aloud(renderOverview(t, sampleOverview(noon), ""))
	for _, part := range []string{
		"finished in the last hour 1,284", "busy 6 of 8 slots", "queued, the oldest " + text.Moment(noon.Add(-130*time.Second)).Brief(), "312 and 4 waiting", "succeeded in the last hour 99.8 %",
		"failed in the last hour 3", "One node is late: worker3", "beanstalkd at 10.0.0.6:11300 does not answer", "The queue is drained: no new job is accepted since", "(new <b>disks</b>)", "week 3", "about 40 s",
		"The input could not be used 2", "It ran longer than allowed 1", "Attempts that did not end their job: 5 error, 1 lost",
		"memory 2.9 GiB of 7.5 GiB", "disk 57 GiB free", "battery 83 %, discharging", "cancel requested 019a8f3e…7f31 : no longer needed by alice", "down: dial tcp", "full: has refused a message", "drains: takes no messages", "slow since", "up since",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("no %q in %s", part, page)
		}
	}
}

func TestOverviewByProgram(t *testing.T) {
	t.Parallel()
	page := renderOverview(t, sampleOverview(noon), "program")
	for _, part := range []string{`Jobs finished by program, jobs per minute. forecast newest`, `href="/?by=program&amp;range=6h"`, `href="/?by=program" aria-current="true">by program`, `href="/">by node`} {
		if !strings.Contains(page, part) {
			t.Errorf("no %q in %s", part, page)
		}
	}
}

func TestOverviewHelpsToBegin(t *testing.T) {
	t.Parallel()
	o := api.Overview{At: noon, Window: api.Window{Name: "1h", From: noon, Until: noon, Step: 60}}
	steps := []string{"runnerbean worker", "programs/echo", "runnerbean submit --program forecast"}
	for i, change := range []func(){
		func() {},
		func() { o.Nodes = []api.Node{{Name: "worker1", Alive: true}} },
		func() { o.Nodes[0].Programs = []string{"forecast"} },
	} {
		change()
		if page := aloud(renderOverview(t, o, "")); !strings.Contains(page, steps[i]) || !strings.Contains(page, "no job has ended in the last hour –") {
			t.Errorf("step %d: no %q in %s", i, steps[i], page)
		}
	}
	o.Counts = map[jobs.State]int64{jobs.Succeeded: 1}
	if page := renderOverview(t, o, ""); strings.Contains(page, "Where to begin") {
		t.Errorf("a pool with jobs is told how to begin: %s", page)
	}
}

func TestBriefMoments(t *testing.T) {
	t.Parallel()
	if got := text.Moment(noon.AddDate(-1, 0, 0)).Brief(); got != "22 Nov 2025" {
		t.Errorf("another day is %q", got)
	}
	if now := time.Now().UTC(); text.Moment(now).Brief() != now.Format("15:04:05")+" UTC" && now.Day() == time.Now().UTC().Day() {
		t.Errorf("today is %q", text.Moment(now).Brief())
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	for part, want := range map[float64]string{1: "100 %", 0: "0 %", 0.99999: "> 99.9 %", 0.9961: "99.6 %", 0.5: "50 %"} {
		if got := sharePercent(part); got != want {
			t.Errorf("sharePercent(%g) = %q, want %q", part, got, want)
		}
	}
}

func BenchmarkOverviewPage(b *testing.B) {
	o := sampleOverview(noon)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(renderOverview(b, o, ""))))
	}
}
