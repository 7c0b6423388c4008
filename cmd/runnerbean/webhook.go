package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/runnerbean/runnerbean/internal/webhook"
	"github.com/runnerbean/runnerbean/jobs"
)

// openWebhooks prepares to tell URLs of the ends of jobs.
func (n *node) openWebhooks(context.Context) error {
	out, err := n.outbound()
	if err != nil {
		return err
	}
	key, err := webhookKey(n.set.WebhookKey)
	if err != nil {
		return fmt.Errorf("RUNNERBEAN_WEBHOOK_KEY_FILE: %w", err)
	}
	n.hooks, err = webhook.New(webhook.Config{
		Outbox: n.ledger, Owner: n.instance, Key: key, Outbound: out,
		ResultURL: n.resultURL, Observe: n.metrics.Webhook, Logger: n.log,
	})
	return err
}

// resultURL is where the result of a job is read: what its document says.
func (n *node) resultURL(ctx context.Context, id string) (string, error) {
	rec, err := n.ledger.Get(ctx, id)
	if err != nil {
		return "", err
	}
	var doc struct{ Result jobs.Target }
	if json.Unmarshal(rec.Document, &doc) == nil && doc.Result.URL != "" {
		return doc.Result.URL, nil
	}
	return n.set.BaseURL + "/" + id, nil
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

// checkWebhook looks at RUNNERBEAN_WEBHOOK, and does not repeat it.
func (s *settings) checkWebhook() error {
	u, err := url.Parse(s.Webhook)
	switch {
	case s.Webhook == "":
		return nil
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return errors.New("RUNNERBEAN_WEBHOOK must be an http or https URL without user name or password")
	}
	return nil
}
