// Package outbox stores what is to be sent after the end of a job: webhooks and
// deliveries of results. They are written in the transaction that ends the job. It also
// stores answers to requests that may be repeated.
package outbox

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/pool"
	"github.com/runnerbean/runnerbean/jobs"
)

// Config is what an Outbox knows of its node.
type Config struct {
	// Webhook is a URL that is called at every end, or "".
	Webhook string
	// BaseURL is the beginning of the result URLs of this node. If it is "", nothing is
	// delivered.
	BaseURL string
	// FormerURLs are base URLs that the pool had before, besides those of the ledger.
	FormerURLs []string
}

// Outbox is the outbox of a ledger.
type Outbox struct {
	ledger   engine.Access
	webhook  string
	delivers bool
	urls     *pool.URLs
}

// New returns the outbox of a ledger.
func New(ledger engine.Access, c Config) *Outbox {
	return &Outbox{
		ledger: ledger, webhook: engine.Clean(c.Webhook, engine.MaxURL), delivers: c.BaseURL != "",
		urls: pool.NewURLs(append([]string{c.BaseURL}, c.FormerURLs...)...),
	}
}

// Elsewhere returns url if the result has to be delivered there. It returns "" if the
// pool itself serves the URL, as far as is known now.
func (o *Outbox) Elsewhere(t engine.Tx, url string) (string, error) {
	if !o.delivers || url == "" {
		return "", nil
	}
	served, err := o.urls.Serves(url, t.Row)
	if served || err != nil {
		return "", err
	}
	return url, nil
}

// Serves reports whether the pool itself serves a URL.
func (o *Outbox) Serves(ctx context.Context, url string) (served bool, err error) {
	defer o.ledger.Observe("serves", time.Now(), &err)
	served, err = o.urls.Serves(url, func(q *engine.Query, args []any, dest ...any) (bool, error) {
		return o.ledger.Row(ctx, q, args, dest...)
	})
	return served, engine.Wrap("serves", err)
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
	if e.Target != "" && o.delivers {
		h.Kind, h.ID, h.URL = KindDelivery, e.Job, e.Target
		list = append(list, h)
	}
	return list
}
