package node

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/webhook"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher"
)

// newWebhooks returns what tells URLs of the ends of jobs and delivers results.
func (n *Node) newWebhooks(out outbound.Config) (*webhook.Deliverer, error) {
	return webhook.New(webhook.Config{
		Outbox: n.ledger.Outbox, Owner: n.instance, Keys: n.webhookKeys, Outbound: out,
		ResultURL: n.resultURL, Document: n.finalDocument, Observe: n.observeHook, Logger: n.log.Logger,
	})
}

func (n *Node) observeHook(kind, outcome string) {
	if kind == outbox.KindDelivery {
		n.metrics.Delivery(outcome)
	} else {
		n.metrics.Webhook(outcome)
	}
}

// finalDocument opens what is delivered of a job: its result, or a document that says
// how the job ended. The caller closes it.
func (n *Node) finalDocument(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	rec, err := n.ledger.Get(ctx, id)
	switch {
	case err != nil:
		return nil, 0, err
	case !rec.State.Final():
		return nil, 0, webhook.ErrGoesOn
	case rec.State == jobs.Succeeded:
		document, err := published.New(n.ledger.Results, n.store).Open(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		return document, document.Size, nil
	}
	text, err := publisher.EndDocument(rec)
	return io.NopCloser(bytes.NewReader(text)), int64(len(text)), err
}

// deliveryFirst is how long a webhook waits for the delivery of its job.
const deliveryFirst = time.Minute

// resultURL returns where the result of a job can be read: the URL of its document, or
// one of this node if the result is not delivered there soon.
func (n *Node) resultURL(ctx context.Context, id string) (string, error) {
	rec, err := n.ledger.Get(ctx, id)
	if err != nil {
		return "", err
	}
	d, err := n.ledger.Outbox.Delivery(ctx, id)
	if err != nil {
		return "", err
	}
	job, _ := jobdoc.Read(rec.Document)
	switch {
	case d.State == api.DeliveryPending && time.Since(rec.Finished) < deliveryFirst:
		return "", webhook.ErrNotYet
	case job.Result.URL != "" && (d.State == "" || d.State == api.DeliveryDone):
		return job.Result.URL, nil
	}
	return n.set.BaseURL + "/" + id, nil
}
