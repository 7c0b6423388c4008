package jobs

// State of a job. Succeeded, failed and cancelled are final. Only a person's retry
// takes a failed or cancelled job back to queued.
type State string

// The states of a job.
const (
	Waiting   State = "waiting" // on other jobs, or on a node that has its program
	Queued    State = "queued"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// States lists every state in the order in which a job may pass through them.
var States = []State{Waiting, Queued, Running, Succeeded, Failed, Cancelled}

// Final reports whether a job in this state has ended.
func (s State) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Outcome is how one attempt ended, or, as the class of an [Error], why a job
// failed.
type Outcome string

// The outcomes of an attempt.
const (
	OutcomeSucceeded   Outcome = "succeeded"
	OutcomeFailed      Outcome = "failed"      // the program said so: exit code 65
	OutcomeError       Outcome = "error"       // any other exit code, or an output that is not one JSON value
	OutcomeTimeout     Outcome = "timeout"     // ran longer than allowed
	OutcomeStalled     Outcome = "stalled"     // showed no activity for too long
	OutcomeKilled      Outcome = "killed"      // by a signal that the node did not send, or for its memory
	OutcomeLost        Outcome = "lost"        // its node died
	OutcomeInput       Outcome = "input"       // the input could not be fetched or is not valid
	OutcomeCancelled   Outcome = "cancelled"   // a person cancelled the job
	OutcomeInterrupted Outcome = "interrupted" // its node shut down
	OutcomeInternal    Outcome = "internal"    // a defect of the node: handling the job ended in a panic
)

// Classes of an [Error] that no attempt ends with.
const (
	ClassDocument Outcome = "document" // the job document has a fault
	ClassExpired  Outcome = "expired"  // had not started when it expired
	ClassNeeds    Outcome = "needs"    // a job that it needs did not succeed
)
