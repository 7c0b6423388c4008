package jobs_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

// at is a document of an attempt, made some seconds after the others began.
func at(s jobs.State, attempt, second int, more string) string {
	doc := state(s, fmt.Sprintf(`,"attempt":%d%s`, attempt, more))
	return strings.Replace(doc, "06:16:00Z", fmt.Sprintf("06:16:%02dZ", second), 1)
}

// TestFollowNeverGoesBack checks documents that a cache, or a node with another clock,
// sends late: at first in streams, then in polls.
func TestFollowNeverGoesBack(t *testing.T) {
	for name, test := range map[string]struct {
		docs []string
		want string
		most time.Duration
	}{
		"older state":         {[]string{at("running", 1, 9, ""), at("queued", 0, 3, ""), at("succeeded", 1, 10, ",\"result\":1")}, "running 1, succeeded 1", 0},
		"older attempt":       {[]string{at("running", 2, 9, ""), at("running", 1, 3, ""), at("queued", 1, 4, ""), at("succeeded", 2, 10, ",\"result\":1")}, "running 2, succeeded 2", 0},
		"older attempt, now":  {[]string{at("running", 2, 9, ""), at("running", 1, 9, ""), at("failed", 2, 10, "")}, "running 2, failed 2", 0},
		"older progress":      {[]string{at("running", 1, 9, `,"progress":0.5`), at("running", 1, 8, `,"progress":0.25`), at("failed", 1, 10, "")}, "running 1, failed 1", 0},
		"another attempt":     {[]string{at("running", 1, 1, ""), at("queued", 1, 2, ""), at("running", 2, 3, ""), at("failed", 2, 4, "")}, "running 1, queued 1, running 2, failed 2", 0},
		"retried":             {[]string{at("queued", 1, 9, ""), at("failed", 1, 3, ""), at("running", 2, 10, ""), at("failed", 2, 11, "")}, "queued 1, running 2, failed 2", 0},
		"success of before":   {[]string{at("running", 2, 9, ""), at("succeeded", 1, 3, ",\"result\":1")}, "running 2, succeeded 1", 0},
		"clock behind":        {[]string{at("running", 1, 9, ""), at("failed", 1, 3, "")}, "running 1, failed 1", 0},
		"attempt, behind":     {[]string{at("queued", 0, 9, ""), at("running", 1, 3, ""), at("failed", 1, 4, "")}, "queued 0, running 1, failed 1", 0},
		"cancelled, behind":   {[]string{at("queued", 0, 59, ""), at("cancelled", 0, 3, "")}, "queued 0, cancelled 0", 40 * time.Second},
		"restored":            {[]string{at("running", 2, 9, ""), at("queued", 1, 10, ""), at("failed", 2, 11, "")}, "running 2, queued 1, failed 2", 0},
		"left out, then late": {[]string{at("running", 1, 8, ""), at("succeeded", 1, 9, ""), at("running", 1, 10, ""), at("succeeded", 1, 9, `,"result":1`)}, "running 1, succeeded 1", 0},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(t *testing.T, c *jobs.Client) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				begin := time.Now()
				var got []string
				for res, err := range c.Follow(ctx, resultURL) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprint(res.State, " ", res.Attempt))
				}
				if diff := cmp.Diff(test.want, strings.Join(got, ", ")); diff != "" {
					t.Error(diff)
				}
				if d := time.Since(begin); d > test.most+10*time.Second {
					t.Errorf("took %v", d)
				}
			}
			var events []any
			var answers []http.HandlerFunc
			for _, doc := range test.docs {
				events = append(events, "event: state\ndata: "+doc+"\n\n")
				answers = append(answers, text(200, "application/json", doc))
			}
			t.Run("stream", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					last := answers[len(answers)-1]
					run(t, clientOf(t, node(script(stream(events...), stream(events[len(events)-1])), last)))
				})
			})
			t.Run("poll", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { run(t, clientOf(t, node(refuse(405), script(answers...)))) })
			})
			t.Run("both", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					run(t, clientOf(t, node(script(stream(events[0]), refuse(405)), script(answers[1:]...))))
				})
			})
		})
	}
}

// TestFollowKeepsToASuccess checks that nothing but a success is yielded once there was one,
// although its event did not hold the result.
func TestFollowKeepsToASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := stream("event: state\ndata: "+at(jobs.Running, 1, 8, "")+"\n\n", "event: state\ndata: "+at(jobs.Succeeded, 1, 9, "")+"\n\n")
		stale := text(200, "application/json", at(jobs.Running, 1, 10, `,"progress":1`))
		result := text(200, "application/json", at(jobs.Succeeded, 1, 9, `,"result":1`))
		got := follow(t.Context(), clientOf(t, node(events, script(stale, stale, result))))
		if s := strings.Join(got.states, ", "); s != "running, succeeded" || got.err != nil {
			t.Errorf("states %s, error %v", s, got.err)
		}
	})
}
