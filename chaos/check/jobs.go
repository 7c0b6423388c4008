package check

import (
	"fmt"
	"slices"
)

// owed reports whether a job must end: it was accepted over HTTP, or a result
// URL has shown it, or beanstalkd has acknowledged it and cannot have lost it.
func (f *facts) owed(j *job) bool {
	if j.posted || j.known {
		return true
	}
	return slices.ContainsFunc(j.puts, func(e Event) bool { return !f.mayBeLost(e) })
}

// mayBeLost reports whether a server was killed, or its binlog deleted, between
// a put and the next time that the inbox was empty. A SIGKILL of beanstalkd
// loses a few acknowledged jobs even with -f0.
func (f *facts) mayBeLost(put Event) bool {
	taken := int64(never)
	for _, e := range f.inboxes {
		if e.N == 0 && e.T > put.T+put.Took {
			taken = e.T
			break
		}
	}
	return slices.ContainsFunc(f.kills, func(e Event) bool {
		return isBeanstalkd(e.Who) && e.T > put.T && e.T < taken
	})
}

// last returns the newest answer of a job's result URL.
func (j *job) last() Event {
	if len(j.polls) == 0 {
		return Event{}
	}
	return j.polls[len(j.polls)-1]
}

// acceptedJobs demands that there were any jobs.
func acceptedJobs(f *facts) []Figure {
	owed, posted := 0, 0
	for _, j := range f.order {
		if f.owed(j) {
			owed++
		}
		if j.posted {
			posted++
		}
	}
	nodes, servers, databases, others := 0, 0, 0, 0
	for _, e := range f.kills {
		switch p := f.processes[e.Who]; {
		case p == nil || e.What == Wipe:
		case p.node():
			nodes++
		case e.Who == Database:
			databases++
		case isBeanstalkd(e.Who):
			servers++
		default:
			others++
		}
	}
	got := fmt.Sprintf("%d, %d of them by POST, through %d kills of nodes and %d of beanstalkd", owed, posted, nodes, servers)
	if databases > 0 {
		got += fmt.Sprintf(", and %d crashes of PostgreSQL", databases)
	}
	if others > 0 {
		got += fmt.Sprintf(" and %d kills of store and balancer", others)
	}
	return []Figure{{Name: "jobs accepted", Wanted: "some", Got: got, OK: owed > 0}}
}

// unfinished counts the jobs that must end and have not.
func (f *facts) unfinished() (n, of int, example string) {
	for _, j := range f.order {
		if !f.owed(j) {
			continue
		}
		of++
		if last := j.last(); !final(last.State) {
			n++
			example = fmt.Sprintf("%s (status %d, %s)", j.id, last.Status, last.State)
		}
	}
	return n, of, example
}

func allEnded(f *facts) []Figure {
	n, of, example := f.unfinished()
	if of == 0 {
		return nil
	}
	return wantNone("accepted jobs that did not end", n, fmt.Sprint(of), example)
}

// lossSeen demands losses, which there must be without the reconciler.
func lossSeen(f *facts) []Figure {
	n, of, example := f.unfinished()
	return wantAtLeast("accepted jobs that did not end", n, 1, fmt.Sprintf(" of %d, such as %s", of, example))
}

// allSucceeded demands that no job failed: no fault is a reason for that.
func allSucceeded(f *facts) []Figure {
	n, example := 0, ""
	for _, j := range f.order {
		if state := j.last().State; final(state) && state != "succeeded" {
			n++
			example = j.id + " (" + state + ")"
		}
	}
	return wantNone("jobs that failed", n, "", example)
}

// neverForgotten demands that a job which was known is never unknown.
func neverForgotten(f *facts) []Figure {
	n, example := 0, ""
	for _, j := range f.order {
		since := int64(never)
		for _, e := range j.polls {
			if e.Status == 200 || e.Status == 202 {
				since = min(since, e.T+e.Took)
			}
		}
		if slices.ContainsFunc(j.polls, func(e Event) bool { return e.Status == 404 && e.T > since }) {
			n++
			example = j.id
		}
	}
	return wantNone("jobs that were known and then unknown", n, "", example)
}

// oneContent demands that a result URL never changes its content.
func oneContent(f *facts) []Figure {
	urls, bad, example := 0, 0, ""
	for _, j := range f.order {
		if len(j.sums) > 0 {
			urls++
		}
		if len(j.sums) > 1 {
			bad++
			example = fmt.Sprintf("%s (%d contents)", j.id, len(j.sums))
		}
	}
	if urls == 0 {
		return nil
	}
	return wantNone("result URLs with more than one content", bad, fmt.Sprintf("%d over %d polls", urls, f.polls), example)
}

// noRegressions demands that every answer after succeeded says succeeded, too, that the job
// was deleted, or that the ledger does not answer while PostgreSQL is away.
func noRegressions(f *facts) []Figure {
	n, example := 0, ""
	for _, j := range f.order {
		if j.success == 0 {
			continue
		}
		for _, e := range j.polls {
			if e.T > j.success && e.State != "succeeded" && e.State != Gone && !f.ledgerAway(e) && !noNode(e) {
				n++
				example = fmt.Sprintf("%s (then status %d, %s, from %s)", j.id, e.Status, e.State, e.Who)
			}
		}
	}
	if f.polls == 0 {
		return nil
	}
	return wantNone("answers that went back from succeeded", n, "", example)
}

// rightAnswers demands that each answer is the result of the job asked for.
func rightAnswers(f *facts) []Figure {
	n, example := 0, ""
	for _, j := range f.order {
		for _, e := range j.polls {
			if e.Text != "" {
				n++
				example = j.id + ": " + e.Text
			}
		}
	}
	if f.polls == 0 {
		return nil
	}
	return wantNone("wrong answers", n, "", example)
}

// noUnexpectedEnds demands that no process ends by itself.
func noUnexpectedEnds(f *facts) []Figure {
	example := ""
	for _, e := range f.died {
		example = e.Who + ": " + e.Text
	}
	return wantNone("processes that ended by themselves", len(f.died), "", example)
}

// lostInboxJobs reports the jobs that beanstalkd lost before the ledger had
// them. Any number is allowed.
func lostInboxJobs(f *facts) []Figure {
	puts, lost := 0, 0
	for _, j := range f.order {
		if len(j.puts) == 0 {
			continue
		}
		puts++
		if !f.owed(j) {
			lost++
		}
	}
	if puts == 0 {
		return nil
	}
	return []Figure{{
		Name: "inbox jobs that beanstalkd lost when it was killed", Wanted: "(not ours)",
		Got: fmt.Sprintf("%d of %d put", lost, puts), OK: true,
	}}
}
