package pages

import (
	"fmt"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// verbText has the words for a verb.
type verbText struct {
	button string                // on the button
	many   bool                  // whether the list of jobs offers it
	grave  bool                  // whether work may be lost
	does   string                // what will happen, after a number of jobs
	did    string                // what has happened, after a number of jobs
	after  string                // what a person should know first
	each   map[jobs.State]string // what happens to jobs in a state
}

const graceText = "the time to end that their node gives (RUNNERBEAN_GRACE, 10 s by default)"

var verbWords = map[ledger.Verb]verbText{
	ledger.VerbCancel: {
		button: "Cancel", many: true, grave: true, does: "will be cancelled", did: "cancelled",
		after: "What a running program has not saved is lost. A cancelled job can be retried.",
		each: map[jobs.State]string{
			jobs.Waiting: "end at once", jobs.Queued: "end at once", jobs.Running: "get " + graceText + ", then they are killed",
		},
	},
	ledger.VerbStop: {
		button: "Stop", grave: true, does: "will be stopped", did: "stopped",
		after: "What a running program has not saved is lost. A stopped job is cancelled, and can be retried.",
		each:  map[jobs.State]string{jobs.Running: "get " + graceText + ", then they are killed"},
	},
	ledger.VerbTerminate: {
		button: "Terminate", many: true, grave: true, does: "will be terminated", did: "terminated",
		after: "A program that is killed cannot save anything. A terminated job is cancelled, and can be retried.",
		each: map[jobs.State]string{
			jobs.Waiting: "end at once", jobs.Queued: "end at once", jobs.Running: "are killed at once",
		},
	},
	ledger.VerbRetry: {
		button: "Retry", many: true, does: "will be queued again", did: "queued again",
		after: "Each keeps its address and its history, and gets as many attempts as at first.",
		each:  map[jobs.State]string{jobs.Failed: "are queued again", jobs.Cancelled: "are queued again"},
	},
	ledger.VerbReset: {
		button: "Restart", grave: true, does: "will start over", did: "start over",
		after: "A program that is killed cannot save anything; it costs the job no attempt.",
		each: map[jobs.State]string{
			jobs.Waiting: "lose their counted errors", jobs.Queued: "lose their counted errors and need not wait any more",
			jobs.Running: "are killed at once and start over", jobs.Failed: "are queued again", jobs.Cancelled: "are queued again",
		},
	},
	ledger.VerbCheckpoint: {
		button: "Checkpoint", does: "will be asked for a checkpoint", did: "asked for a checkpoint",
		after: "The programs run on.",
		each:  map[jobs.State]string{jobs.Running: "are asked to save what they need to go on from here"},
	},
	ledger.VerbEndLoop: {
		button: "End the loop for good", grave: true,
		after: "The newest job of the loop is cancelled if it has not ended, and none follows any more, also not after a retry. That cannot be undone. To stop the loop for a while, cancel its newest job.",
	},
	ledger.VerbDelete: {
		button: "Delete", many: true, grave: true, does: "will be deleted", did: "deleted",
		after: "A deleted job cannot be brought back. Its address says from then on that it was deleted.",
		each: map[jobs.State]string{
			jobs.Succeeded: "lose their results, logs and files", jobs.Failed: "lose their logs and files", jobs.Cancelled: "lose their logs and files",
		},
	},
}

func countText(n operations.Count) string {
	s := jobsText(n.Total())
	if n.More {
		return "more than " + s
	}
	return s
}

func jobsText(n int) string { return text.Count(n, "job", "jobs") }

// afterText returns what a person should know first. Where nothing runs, no work is
// lost.
func afterText(v operations.Verb, n operations.Count) string {
	if verbWords[v.Name].grave && n.States[jobs.Running] == 0 && v.Name != ledger.VerbReset && v.Name != ledger.VerbDelete {
		return "They can be retried later."
	}
	return verbWords[v.Name].after
}

// consequences says for each state what will happen.
func consequences(v operations.Verb, n operations.Count) []string {
	var list []string
	words := verbWords[v.Name]
	for _, state := range v.States {
		if k := n.States[state]; k > 0 && words.each != nil {
			list = append(list, fmt.Sprintf("%s %s %s.", text.Grouped(k), state, singular(words.each[state], k)))
		}
	}
	if n.Unsuited > 0 {
		list = append(list, fmt.Sprintf("%s left alone: only a job that is %s can be %s.", text.IsAre(jobsText(n.Unsuited), n.Unsuited), operations.OneOf(v.States), v.Done))
	}
	return list
}

// singular turns words about several jobs into words about one, where n is 1.
func singular(s string, n int) string {
	if n != 1 {
		return s
	}
	verb, rest, _ := strings.Cut(s, " ")
	rest = strings.NewReplacer("they are", "it is", "their", "its", " need not", " needs not", "and start over", "and starts over").Replace(rest)
	if verb == "are" {
		verb = "is"
	} else {
		verb += map[bool]string{true: "s", false: ""}[verb != ""]
	}
	if rest == "" {
		return verb
	}
	return verb + " " + rest
}
