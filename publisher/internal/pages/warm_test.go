package pages

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
)

// warmNode is alive and has processes of two programs.
func warmNode(name string) api.Node {
	at := time.Now()
	return api.Node{Name: name, Instance: "i-" + name, Alive: true, Vitals: &api.Vitals{At: at, Warm: []api.WarmProcess{
		{Program: "b", PID: 3, Started: at.Add(-2 * time.Hour), Jobs: 4100, Memory: 3 << 20},
		{Program: "a", PID: 2, Started: at.Add(time.Hour), Job: "job-1"},
		{Program: "b", PID: 1, Started: at.Add(-5 * time.Hour), Jobs: 2, Job: "job-2", Memory: 1 << 30},
	}}}
}

func TestWarmProcesses(t *testing.T) {
	n := warmNode("n/1")
	a := warmView{Name: "a", Path: "/r/programs/a", Key: "i-n/1 2", PID: 2, Jobs: "0", Memory: "–", Age: "0 ms", Job: "job-1", JobPath: "/r/jobs/job-1"}
	old := warmView{Name: "b", Path: "/r/programs/b", Key: "i-n/1 1", PID: 1, Jobs: "2", Memory: "1.0 GiB", Age: "5 h", Job: "job-2", JobPath: "/r/jobs/job-2"}
	young := warmView{Name: "b", Path: "/r/programs/b", Key: "i-n/1 3", PID: 3, Jobs: "4,100", Memory: "3.0 MiB", Age: "2 h"}
	if diff := cmp.Diff(warmList{Rows: []warmView{a, old, young}}, nodeWarm("/r", n)); diff != "" {
		t.Error("on the page of a node: " + diff)
	}
	if n.Vitals.Warm[0].PID != 3 {
		t.Error("it changed the node, which others share")
	}
	dead := warmNode("dead")
	dead.Alive = false
	old.Name, old.Path, young.Name, young.Path = n.Name, "/r/nodes/n%2F1", n.Name, "/r/nodes/n%2F1"
	want := warmList{ByNode: true, Rows: []warmView{old, young}}
	if diff := cmp.Diff(want, programWarm("/r", "b", []api.Node{dead, {Name: "bare", Alive: true}, n})); diff != "" {
		t.Error("on the page of a program: " + diff)
	}
}

// TestWarmProcessesAreBounded, and nothing that a node reports is taken for markup or
// another address.
func TestWarmProcessesAreBounded(t *testing.T) {
	n := warmNode("n")
	for len(n.Vitals.Warm) < maxWarm+5 {
		n.Vitals.Warm = append(n.Vitals.Warm, api.WarmProcess{Program: "z"})
	}
	if list := nodeWarm("", n); len(list.Rows) != maxWarm || list.More != 5 {
		t.Errorf("%d rows and %d more", len(list.Rows), list.More)
	}
	n.Vitals.Warm = []api.WarmProcess{{Program: strings.Repeat("<b>\x1b", 100), Job: "../../x?y#z\n"}}
	v := nodeWarm("", n).Rows[0]
	if len(v.Name) > 400 || strings.ContainsAny(v.Name, "\x1b") || v.JobPath != "/jobs/..%2F..%2Fx%3Fy%23z%0A" || strings.ContainsAny(v.Job, "\n") {
		t.Errorf("%#v", v)
	}
}
