package outbox

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// KindDelivery is the kind of a Hook that puts the job's final document to the URL
// that its own document names as the place of the result. A job has at most one,
// whose ID is the job's, so that no two are sent together and an older end never
// comes after a newer one.
const KindDelivery = "delivery"

// Hook is the end of a job that a URL has yet to be told of, or whose document has
// yet to be put there.
type Hook struct {
	Kind    string // "" for a webhook, or KindDelivery
	ID      string // a UUID, the same however often it is tried
	URL     string
	Job     string
	Program string
	State   jobs.State
	Class   jobs.Outcome // of the job's error; OutcomeSucceeded where there is none
	Attempt int
	Ended   time.Time
	// Tries is how often it was tried before, Message what went wrong last.
	Tries   int
	Message string
}

const hookColumns = "id, url, job, program, state, class, attempt, created, tries, message, kind"

// args are those of hookColumns, next and owner.
func (h *Hook) args() []any {
	return []any{
		h.ID, h.URL, h.Job, h.Program, string(h.State), string(h.Class), h.Attempt, engine.Micros(h.Ended),
		0, "", h.Kind, engine.Micros(h.Ended), "",
	}
}
