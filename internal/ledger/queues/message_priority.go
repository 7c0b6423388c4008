package queues

import "github.com/runnerbean/runnerbean/jobs"

// maxAhead is how many attempts of a job come before new work. A job that begins again and again
// then waits in line, so that it does not hold up others for ever.
const maxAhead = 100

// MessagePriority returns the priority of the message of a job: one step more urgent than that of
// the job for work that has begun, so that it is taken up before new work. Begun is what was
// interrupted or lost, what a person has queued again, and what has a checkpoint. Another attempt
// after an error comes in its turn. attempt is the newest attempt, and last why it ended.
func MessagePriority(priority uint32, attempt int, last *jobs.Error, checkpoint bool) uint32 {
	begun := checkpoint || last == nil || last.Class == jobs.OutcomeInterrupted || last.Class == jobs.OutcomeLost
	if begun && 0 < attempt && attempt <= maxAhead && priority > 0 {
		return priority - 1
	}
	return priority
}
