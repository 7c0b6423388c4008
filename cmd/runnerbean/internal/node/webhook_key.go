package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger/pool"
	"github.com/runnerbean/runnerbean/internal/signature"
)

// openWebhookKeys returns the keys that sign webhooks: that of the file that a setting names,
// else that of the pool. The first node of a pool stores the key of its data folder there,
// and each node has a copy in its data folder, for receivers. A node whose data folder has
// another key, as from before the ledger kept it, signs with both: whoever verified its
// webhooks still can.
func openWebhookKeys(ctx context.Context, set settings.Settings, p *pool.Pool, log *slog.Logger) ([][]byte, error) {
	if set.NamesWebhookKey() {
		key, err := webhookKey(set.WebhookKey)
		if err != nil {
			return nil, fmt.Errorf("RUNNERBEAN_WEBHOOK_KEY_FILE: %w", err)
		}
		return [][]byte{key}, nil
	}
	own, err := readWebhookKey(set.WebhookKey)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", set.WebhookKey, err)
	}
	offer := own
	if own == "" {
		offer = newWebhookKey()
	}
	shared, err := p.WebhookKey(ctx, offer)
	if err != nil {
		return nil, err
	}
	key, err := signature.WebhookKey(shared)
	if err != nil {
		return nil, fmt.Errorf("the webhook key of the ledger: %w", err)
	}
	keys := [][]byte{key}
	if own == "" {
		return keys, writeWebhookKey(set.WebhookKey, shared)
	}
	old, err := signature.WebhookKey(own)
	if err == nil && !bytes.Equal(old, key) {
		keys = append(keys, old)
		log.Warn("the webhook key of the data folder differs from that of the pool; webhooks are signed with both",
			"file", set.WebhookKey, "its_fingerprint", keyFingerprint(old), "fingerprint_of_the_pool", keyFingerprint(key),
			"do", "give receivers the key of another node's data folder, then remove this file")
	}
	return keys, err
}

// keyFingerprint distinguishes keys without telling them.
func keyFingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("runnerbean webhook key "), key...))
	return hex.EncodeToString(sum[:4])
}

// webhookKey reads the key that signs webhooks, and makes the file if there is none.
func webhookKey(path string) ([]byte, error) {
	text, err := readWebhookKey(path)
	if err == nil && text == "" {
		text = newWebhookKey()
		err = writeWebhookKey(path, text)
	}
	if err != nil {
		return nil, err
	}
	return signature.WebhookKey(text)
}

// readWebhookKey returns the valid key of a file, or "" if there is no file or an empty one.
func readWebhookKey(path string) (string, error) {
	data, err := os.ReadFile(path)
	text := strings.TrimSpace(string(data))
	if errors.Is(err, fs.ErrNotExist) || err == nil && text == "" {
		return "", nil
	}
	if err == nil {
		_, err = signature.WebhookKey(text)
	}
	return text, err
}

func newWebhookKey() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // cannot fail
	return "whsec_" + base64.StdEncoding.EncodeToString(secret)
}

// writeWebhookKey makes a file in one step, so that a node that is killed leaves no part of
// a key.
func writeWebhookKey(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".webhook-key-*") // for this user only
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
