package outbox

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// KindDelivery is the kind of a Hook that puts the final document of a job at the result
// URL of its document. A job has at most one, with the id of the job. So no two are sent
// together, and an older end never comes after a newer one.
const KindDelivery = "delivery"

// Hook is a request to be sent because a job has ended: a webhook or a delivery.
type Hook struct {
	Kind    string // "" for a webhook, or KindDelivery
	ID      string // a UUID, the same for all tries
	URL     string
	Job     string
	Program string
	State   jobs.State
	Class   jobs.Outcome // of the error; OutcomeSucceeded if there is none
	Attempt int
	Ended   time.Time
	// Tries is the number of failed tries. Message is the last failure.
	Tries   int
	Message string
}

const hookColumns = "id, url, job, program, state, class, attempt, created, tries, message, kind"

// args returns the values of hookColumns, next and owner.
func (h *Hook) args() []any {
	return []any{
		h.ID, h.URL, h.Job, h.Program, string(h.State), string(h.Class), h.Attempt, engine.Micros(h.Ended),
		0, "", h.Kind, engine.Micros(h.Ended), "",
	}
}
