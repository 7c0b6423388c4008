package readmodel

import (
	"fmt"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestLinesOfMany(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a := activity.History{From: from, Step: 10 * time.Minute, Steps: 3}
	var list []activity.Tally
	for i := range 12 {
		list = append(list, activity.Tally{Step: 0, Node: fmt.Sprintf("n%02d", i), State: jobs.Succeeded, N: int64(100 - i)})
	}
	list = append(list, activity.Tally{Step: 1, Node: "n11", State: jobs.Failed, N: 7}, activity.Tally{Step: 2, Node: "n11", State: jobs.Failed, N: 5},
		activity.Tally{Step: 1, Node: "n00", N: 1000}, activity.Tally{Step: 1, State: jobs.Cancelled, N: 1000}, activity.Tally{Step: 9, Node: "n00", State: jobs.Failed, N: 1})
	node := func(t activity.Tally) string { return t.Node }
	got := lines(a, list, from.Add(25*time.Minute), node)
	if len(got) != mostLines+1 || got[0].Name != "n11" || got[1].Name != "n00" || got[mostLines].Name != api.Others {
		t.Fatalf("%+v", got)
	}
	if p := got[0].Points; *p[0] != 8.9 || *p[1] != 0.7 || *p[2] != 1 {
		t.Errorf("the first line: %v %v %v, the last step has 5 minutes", *p[0], *p[1], *p[2])
	}
	if p := got[mostLines].Points; *p[0] != (93+92+91+90)/10.0 || *p[1] != 0 {
		t.Errorf("others: %v %v", *p[0], *p[1])
	}
	if p := lines(a, list, from.Add(21*time.Minute), node)[0].Points; p[2] != nil || p[1] == nil {
		t.Error("something is known of a step that has just begun")
	}
	list[1].Node = api.Others
	if got := lines(a, list, from.Add(time.Hour), node); got[mostLines].Name != "other "+api.Others {
		t.Errorf("a node is named api.Others: %s", got[mostLines].Name)
	}
}
