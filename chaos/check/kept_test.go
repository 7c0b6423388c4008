package check

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// meant says that a job is deleted seconds after its end.
func (s *story) meant(job string, seconds float64) *story {
	return s.at(1, Event{What: Meant, Job: job, N: seconds})
}

func (s *story) gone(ms int64, job string) *story {
	return s.get(ms, job, 410, Gone, "")
}

// clock moves the clock of all processes, which follow within 10 ms.
func (s *story) clock(ms int64, seconds float64) *story {
	return s.at(ms, Event{What: Clock, Who: Everybody, N: seconds}).at(ms+10, Event{What: ClockSeen, N: seconds})
}

// parts adds a look at a job of which everything, or nothing, is there, but what else says.
func (s *story) parts(ms int64, job string, status int, but map[string]int) *story {
	parts := map[string]int{"before": status, "after": status, "show": status, "log": status, "file": status}
	for name, code := range but {
		parts[name] = code
	}
	return s.at(ms, Event{What: Parts, Job: job, Parts: parts})
}

func (s *story) backup(ms int64) *story {
	return s.at(ms, Event{What: Backup, Who: "b1", Took: 5e6})
}

func (s *story) restore(ms int64) *story { return s.at(ms, Event{What: Restore, Who: "b1"}) }

// kept returns a story with a deletion as it should be: of job "old", which ends, is
// kept for 1,000 s and is deleted.
func keptWell() *story {
	return begin("c14").meant("old", 1000).good(10, "old").parts(95, "old", 200, nil).
		clock(1000, 2000).gone(2000, "old").parts(2010, "old", 410, map[string]int{"show": 404})
}

func TestCheckOfDeletions(t *testing.T) {
	t.Parallel()
	const (
		early  = "jobs deleted before their time"
		back   = "answers that went back from deleted"
		late   = "jobs still there 3 minutes after their time"
		half   = "jobs of which a part was deleted"
		none   = "jobs deleted"
		absent = "final jobs of a backup that its restore did not bring back"
		open   = "accepted jobs that did not end"
		two    = "result URLs with more than one content"
		other  = "jobs that ended otherwise than they are meant to"
	)
	tests := map[string]struct {
		story *story
		want  []string
	}{
		"all well":                  {keptWell(), nil},
		"nothing is deleted":        {begin("c14").good(10, "a").parts(95, "a", 200, nil), []string{none}},
		"nobody looks at the parts": {begin("c14").meant("a", 1).good(10, "a").clock(1000, 2000).gone(3000, "a"), []string{half}},
		"a job that the backup has though nobody saw it": {
			keptWell().meant("a", 1000).at(2900, Event{What: Put, Who: "beanstalkd", Job: "a"}).backup(3000).get(3100, "a", 200, "succeeded", "aa").
				restore(3200).at(3300, Event{What: Post, Job: "a", Status: 409}).get(3400, "a", 200, "succeeded", "aa").clock(3500, 4000).gone(3600, "a"), nil,
		},
		"a job whose first answer is lost": {
			keptWell().meant("a", 1000).at(2900, Event{What: Post, Job: "a"}).at(2950, Event{What: Post, Job: "a", Status: 200}).
				get(3000, "a", 200, "succeeded", "aa").clock(3500, 4000).gone(3600, "a"), nil,
		},
		"a job that is kept for ever":   {keptWell().good(3000, "a").gone(4000, "a"), []string{early}},
		"a job that is deleted early":   {keptWell().meant("a", 1000).good(2100, "a").gone(3000, "a"), []string{early}},
		"a job that is deleted in time": {keptWell().meant("a", 1000).good(2100, "a").clock(3000, 4000).gone(3020, "a"), nil},
		"a job may have ended just before the clock moved": {
			keptWell().meant("a", 1000).post(2990, "a").get(2995, "a", 200, "succeeded", "aa").clock(3000, 4000).gone(3001, "a"), nil,
		},
		"a job cannot have ended before it waited": {
			keptWell().meant("a", 1000).post(2100, "a").clock(3000, 2900).get(3100, "a", 202, "queued", "").
				get(3200, "a", 200, "succeeded", "aa").clock(4000, 3800).gone(4100, "a"), []string{early},
		},
		"a job that is never deleted": {
			keptWell().meant("a", 1000).good(2100, "a").clock(3000, 4000).get(184_000, "a", 200, "succeeded", "aa"), []string{late},
		},
		"a job that is about to be deleted": {
			keptWell().meant("a", 1000).good(2100, "a").clock(3000, 4000).get(182_000, "a", 200, "succeeded", "aa"), nil,
		},
		"a deleted job answers 200 again":     {keptWell().get(3000, "old", 200, "succeeded", "aa"), []string{back}},
		"another node follows within seconds": {keptWell().at(3000, Event{What: Get, Who: "node1", Job: "old", Status: 200, State: "succeeded", Sum: "aa"}), nil},
		"another node does not follow": {
			keptWell().at(13_000, Event{What: Get, Who: "node1", Job: "old", Status: 200, State: "succeeded", Sum: "aa"}), []string{back},
		},
		"a document is refused":                  {keptWell().at(2100, Event{What: Post, Job: "a", Status: 422}), []string{"documents refused"}},
		"a deleted job is accepted again":        {keptWell().post(3000, "old"), []string{back}},
		"a deleted job is forgotten":             {keptWell().get(3000, "old", 404, "", ""), []string{back, "answers that went back from succeeded", "jobs that were known and then unknown", open}},
		"somebody asks for the deletion":         {keptWell().good(3000, "a").at(3500, Event{What: Remove, Job: "a"}).gone(4000, "a"), nil},
		"a job goes before somebody asks for it": {keptWell().good(3000, "a").gone(4000, "a").at(4500, Event{What: Remove, Job: "a"}), []string{early}},
		"a prune takes what is old enough": {
			keptWell().good(3000, "a").clock(4000, 9000).at(4500, Event{What: Prune, N: 5000}).gone(5000, "a"), nil,
		},
		"a prune takes what is not": {
			keptWell().good(3000, "a").clock(4000, 9000).at(4500, Event{What: Prune, N: 8000}).gone(5000, "a"), []string{early},
		},
		"the log of a deleted job is left":   {keptWell().parts(3000, "old", 410, map[string]int{"log": 200}), []string{half}},
		"the file of a job is missing":       {keptWell().good(3000, "a").parts(3200, "a", 200, map[string]int{"file": 404}), []string{half}},
		"a result is in memory for a moment": {keptWell().parts(1500, "old", 410, map[string]int{"before": 200, "after": 200}), nil},
		"a result has no job": {
			keptWell().good(3000, "a").parts(3200, "a", 410, map[string]int{"before": 200, "after": 200}), []string{half},
		},
		"a result is in memory, and nobody asks for long": {
			keptWell().good(3000, "a").at(3050, Event{What: Remove, Job: "a"}).parts(3200, "a", 410, map[string]int{"before": 200, "after": 200}).gone(60_000, "a"), nil,
		},
		"a result is in memory for too long": {
			keptWell().good(3000, "a").at(3050, Event{What: Remove, Job: "a"}).parts(3200, "a", 410, map[string]int{"before": 200, "after": 200}).
				get(13_300, "a", 200, "succeeded", "aa").gone(60_000, "a"), []string{half},
		},
		"a file is missing, and nobody asks for long": {
			keptWell().good(3000, "a").at(3050, Event{What: Remove, Job: "a"}).parts(3200, "a", 200, map[string]int{"file": 404}).gone(60_000, "a"), []string{half},
		},
		"a job goes while somebody looks":     {keptWell().parts(3000, "old", 410, map[string]int{"before": 200, "show": 200}), nil},
		"a part gives no answer":              {keptWell().parts(3000, "old", 410, map[string]int{"show": 0}), nil},
		"a job fails that is meant to":        {keptWell().at(1, Event{What: Meant, Job: "a", State: "failed"}).post(3000, "a").get(3100, "a", 200, "failed", "bb"), nil},
		"a job succeeds that is not meant to": {keptWell().at(1, Event{What: Meant, Job: "a", State: "failed"}).good(3000, "a"), []string{other}},
		"a restore brings a result back": {
			keptWell().good(3000, "a").backup(4000).restore(5000).get(6000, "a", 200, "succeeded", "aa"), nil,
		},
		"a restore loses a result": {
			keptWell().good(3000, "a").backup(4000).restore(5000).get(6000, "a", 503, "", "").get(7000, "a", 200, "succeeded", "aa"),
			[]string{absent, "answers that went back from succeeded"},
		},
		"a restore brings another result back": {
			keptWell().good(3000, "a").backup(4000).restore(5000).get(6000, "a", 200, "succeeded", "bb"), []string{absent, two},
		},
		"nobody looks for a result after a restore": {keptWell().good(3000, "a").backup(4000).restore(5000), []string{absent}},
		"a job after the backup is run again": {
			keptWell().backup(4000).good(4500, "a").restore(5000).get(5500, "a", 404, "", "").post(6000, "a").get(7000, "a", 200, "succeeded", "bb"), nil,
		},
		"a job after the backup is not run again": {
			keptWell().backup(4000).good(4500, "a").restore(5000).post(6000, "a").get(7000, "a", 202, "queued", ""), []string{open},
		},
		"a job that waits in the backup ends twice": {
			keptWell().post(3000, "a").backup(4000).get(4100, "a", 200, "succeeded", "aa").restore(5000).
				get(6000, "a", 200, "succeeded", "bb").get(7000, "a", 200, "succeeded", "cc"), []string{two},
		},
		"a job that waits in the backup is lost": {
			keptWell().post(3000, "a").backup(4000).get(4100, "a", 200, "succeeded", "aa").restore(5000).get(6000, "a", 404, "", ""), []string{open},
		},
		"a job that was deleted after the backup comes back": {
			keptWell().meant("a", 1000).good(2100, "a").backup(2900).clock(3000, 4000).gone(3500, "a").restore(5000).
				get(5500, "a", 200, "succeeded", "aa").gone(6000, "a"), nil,
		},
		"a job that was deleted before the backup comes back": {
			keptWell().backup(4000).restore(5000).get(6000, "old", 200, "succeeded", "aa"), []string{back},
		},
		"a prune from before the restore is repeated": {
			keptWell().good(3000, "a").backup(4000).clock(4100, 9000).at(4500, Event{What: Prune, N: 5000}).gone(4600, "a").
				restore(5000).get(5500, "a", 200, "succeeded", "aa").gone(6000, "a"), []string{early},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := faults(sorted(test.story.finish()))
			slices.Sort(got)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
