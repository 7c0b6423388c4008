// Package outbox holds what is to be sent after the end of a job: webhooks and
// deliveries of results, written in the transaction that ends it, and the answers to
// requests that may be sent again.
package outbox

import (
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Outbox is that of a ledger.
type Outbox struct {
	ledger  engine.Access
	webhook string // URL that is told of every end; "" for none
	base    string // of result URLs of this node; "" where nothing is delivered
}

// New returns the outbox of a ledger. webhook is a URL that is told of every end.
// Results whose URLs lie under base are not delivered, and none are where it is "".
func New(ledger engine.Access, webhook, base string) *Outbox {
	return &Outbox{ledger: ledger, webhook: engine.Clean(webhook, engine.MaxURL), base: strings.TrimRight(base, "/")}
}

// Elsewhere returns url if a result has to be delivered there, and "" otherwise.
func (o *Outbox) Elsewhere(url string) string {
	if o.base == "" || strings.HasPrefix(url, o.base+"/") {
		return ""
	}
	return url
}

// Ended is the end of a job.
type Ended struct {
	Job, Program string
	State        jobs.State
	Class        jobs.Outcome
	Attempt      int
	At           time.Time
	Webhook      string // that the document names
	Target       string // where the result is to be; see Elsewhere
}

// Of returns what is to be sent of an end: to the URL that the document names, to the
// node's own, and the result to where it is to be.
func (o *Outbox) Of(e Ended) (list []Hook) {
	h := Hook{Job: e.Job, Program: e.Program, State: e.State, Class: e.Class, Attempt: e.Attempt, Ended: e.At}
	for i, url := range []string{e.Webhook, o.webhook} {
		if url == "" || i == 1 && url == e.Webhook {
			continue
		}
		h.ID, h.URL = jobs.NewID(), url
		list = append(list, h)
	}
	if e.Target != "" && o.base != "" {
		h.Kind, h.ID, h.URL = KindDelivery, e.Job, e.Target
		list = append(list, h)
	}
	return list
}
