package pages

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

func TestPageListsABoundedNumberOfAttempts(t *testing.T) {
	t.Parallel()
	var list []api.Attempt
	for n := range jobview.MaxAttempts + 3 {
		list = append(list, api.Attempt{
			Number: n + 1, Node: "<b>n", Started: noon, Finished: noon.Add(time.Second),
			Outcome: jobs.OutcomeLost, Message: strings.Repeat("<i>", 200),
		})
	}
	page := render(t, jobview.Data{
		Result:   jobs.Result{ID: testID, State: jobs.Queued, Attempt: len(list), Timestamp: noon},
		Attempts: list, LogURL: "/x/log",
	})
	if n := strings.Count(page, "/x/log?attempt="); n != jobview.MaxAttempts {
		t.Errorf("%d attempts are listed", n)
	}
	for _, want := range []string{"3 earlier ones are not listed.", fmt.Sprintf("?attempt=%d&amp;rendered=true\"", len(list)), "on &lt;b&gt;n, started", "took 1 s"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(page, "<i>") || strings.Contains(page, "?attempt=3&amp;") {
		t.Error("markup of a program, or an attempt that is too old")
	}
}
