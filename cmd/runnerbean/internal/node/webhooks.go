package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/webhook"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher"
)

// openWebhooks prepares to tell URLs of the ends of jobs.
func (n *Node) openWebhooks(context.Context) error {
	out, err := n.outbound()
	if err != nil {
		return err
	}
	key, err := webhookKey(n.Settings.WebhookKey)
	if err != nil {
		return fmt.Errorf("RUNNERBEAN_WEBHOOK_KEY_FILE: %w", err)
	}
	n.hooks, err = webhook.New(webhook.Config{
		Outbox: n.Ledger, Owner: n.instance, Key: key, Outbound: out,
		ResultURL: n.resultURL, Document: n.finalDocument, Observe: n.observeHook, Logger: n.log,
	})
	return err
}

func (n *Node) observeHook(kind, outcome string) {
	if kind == ledger.KindDelivery {
		n.metrics.Delivery(outcome)
	} else {
		n.metrics.Webhook(outcome)
	}
}

// finalDocument is what is delivered of a job: its result, or how else it has ended.
func (n *Node) finalDocument(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	rec, err := n.Ledger.Get(ctx, id)
	switch {
	case err != nil:
		return nil, 0, err
	case !rec.State.Final():
		return nil, 0, webhook.ErrGoesOn
	case rec.State == jobs.Succeeded:
		object, err := n.Store.Open(ctx, store.ResultKey(id))
		if err != nil {
			return nil, 0, err
		}
		return object, object.Size, nil
	}
	text, err := publisher.EndDocument(rec)
	return io.NopCloser(bytes.NewReader(text)), int64(len(text)), err
}

// deliveredFirst is for how long a webhook waits for the delivery of its job.
const deliveredFirst = time.Minute

// resultURL is where the result of a job can be read: what its document says, or, if
// it does not come there soon, here.
func (n *Node) resultURL(ctx context.Context, id string) (string, error) {
	rec, err := n.Ledger.Get(ctx, id)
	if err != nil {
		return "", err
	}
	d, err := n.Ledger.Delivery(ctx, id)
	if err != nil {
		return "", err
	}
	job, _ := jobs.Read(rec.Document)
	switch {
	case d.State == api.DeliveryPending && time.Since(rec.Finished) < deliveredFirst:
		return "", webhook.ErrNotYet
	case job.Result.URL != "" && (d.State == "" || d.State == api.DeliveryDone):
		return job.Result.URL, nil
	}
	return n.Settings.BaseURL + "/" + id, nil
}

// webhookKey reads the key, and makes one where there is none yet.
func webhookKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeWebhookKey(path)
	}
	if err != nil {
		return nil, err
	}
	return jobs.WebhookKey(string(text))
}

func makeWebhookKey(path string) ([]byte, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	text := []byte("whsec_" + base64.StdEncoding.EncodeToString(secret) + "\n")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	return text, errors.Join(err, f.Sync(), f.Close())
}
