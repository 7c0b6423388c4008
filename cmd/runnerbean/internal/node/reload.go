package node

import (
	"os"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/internal/webhook"
	"github.com/runnerbean/runnerbean/publisher"
)

// Reload reads tokens, keys, certificate and programs again, and logs what has come of
// each. What has a fault changes nothing. It may be called at any time.
func (n *Node) Reload() {
	n.log.Info("tokens, keys, certificate and programs are read again", "node", n.set.Node)
	n.publisher.Reload()
	if n.set.TokenFile != "" {
		reloadToken(n.set.TokenFile, n.publisher, n.log)
	}
	if n.set.NamesWebhookKey() {
		reloadWebhookKey(n.set.WebhookKey, n.webhooks, n.log)
	}
	n.worker.Reload()
}

// reloadWebhookKey reads the file of the key that signs webhooks again.
func reloadWebhookKey(path string, w *webhook.Deliverer, log Log) {
	text, err := os.ReadFile(path)
	var key []byte
	if err == nil {
		key, err = signature.WebhookKey(string(text))
	}
	if err != nil {
		log.Error("cannot be used; what it said before stays in force", "setting", "RUNNERBEAN_WEBHOOK_KEY_FILE", "err", err)
		return
	}
	w.SetKeys([][]byte{key})
	log.Info("read again", "setting", "RUNNERBEAN_WEBHOOK_KEY_FILE")
}

// reloadToken reads the file of the one operator's token again.
func reloadToken(path string, p *publisher.Publisher, log Log) {
	token, err := settings.ReadTokenFile(path)
	if err == nil {
		err = p.SetToken(token)
	}
	if err != nil {
		log.Error("cannot be used; what it said before stays in force", "setting", "RUNNERBEAN_TOKEN_FILE", "err", err)
		return
	}
	log.Info("read again", "setting", "RUNNERBEAN_TOKEN_FILE")
}
