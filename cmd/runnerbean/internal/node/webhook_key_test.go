package node

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/signature"
)

// keyNode opens the webhook keys of a node on a ledger. It returns them and the log.
func keyNode(t *testing.T, l *ledger.Ledger, set settings.Settings) ([][]byte, string) {
	t.Helper()
	log := &bytes.Buffer{}
	keys, err := openWebhookKeys(t.Context(), set, l.Pool, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return keys, log.String()
}

// TestWebhookKeyOfThePool: the first node brings the key of its data folder into the
// ledger, a new one gets it, and one with another key signs with both and says so.
func TestWebhookKeyOfThePool(t *testing.T) {
	t.Parallel()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db"), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := func(key string) settings.Settings {
		s := settings.Settings{Data: t.TempDir()}
		s.WebhookKey = filepath.Join(s.Data, "webhook.key")
		if key != "-" {
			if err := os.WriteFile(s.WebhookKey, []byte(key), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	text := func(s settings.Settings) string {
		b, err := os.ReadFile(s.WebhookKey)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	shared, other := newWebhookKey(), newWebhookKey()
	secret, err := signature.WebhookKey(shared)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range []struct {
		before string // the file; "-" for none
		keys   int
	}{{shared + "\n", 1}, {"-", 1}, {"", 1}, {shared, 1}, {other + "\n", 2}} {
		s := folder(test.before)
		keys, log := keyNode(t, l, s)
		if len(keys) != test.keys || !bytes.Equal(keys[0], secret) || strings.Contains(log, "both") != (test.keys > 1) {
			t.Errorf("%d: %d keys, %s", name, len(keys), log)
		}
		if strings.Contains(log, "whsec_") || strings.Contains(log, other[10:20]) || strings.Contains(log, shared[10:20]) {
			t.Errorf("%d: the log has a key: %s", name, log)
		}
		if want := strings.TrimSpace(test.before); want != "" && want != "-" && text(s) != test.before || want != other && strings.TrimSpace(text(s)) != shared {
			t.Errorf("%d: the file has %s", name, text(s))
		}
		if info, err := os.Stat(s.WebhookKey); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%d: %v %v", name, info, err)
		}
	}
	named := folder(other)
	named.Data = t.TempDir()
	if keys, _ := keyNode(t, l, named); len(keys) != 1 || bytes.Equal(keys[0], secret) {
		t.Error("a named file does not count")
	}
	if _, err := openWebhookKeys(t.Context(), folder("hello\n"), l.Pool, slog.Default()); err == nil || strings.Contains(err.Error(), "hello") {
		t.Errorf("a bad key: %v", err)
	}
}
