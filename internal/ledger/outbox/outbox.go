// Package outbox stores what is to be sent after the end of a job: webhooks and
// deliveries of results. They are written in the transaction that ends the job. It also
// stores answers to requests that may be repeated.
package outbox

import (
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Outbox is the outbox of a ledger.
type Outbox struct {
	ledger  engine.Access
	webhook string // called at every end; "" for none
	base    string // of result URLs of this node; "": no deliveries
}

// New returns the outbox of a ledger. webhook is a URL that is called at every end, or
// "". Results with URLs outside base are delivered; if base is "", none are.
func New(ledger engine.Access, webhook, base string) *Outbox {
	return &Outbox{ledger: ledger, webhook: engine.Clean(webhook, engine.MaxURL), base: strings.TrimRight(base, "/")}
}

// Elsewhere returns url if the result has to be delivered there, else "".
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
	Webhook      string // from the document
	Target       string // URL of the result, if it is elsewhere
}

// Of returns what is to be sent at an end: webhooks to the URL of the document and to
// that of the node, and the delivery.
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
