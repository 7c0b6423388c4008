package worker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
)

// logStore is a store that refuses logs.
type logStore struct {
	publish.Store
	refuse atomic.Bool
}

func (s *logStore) Replace(ctx context.Context, key string, data []byte) error {
	if strings.HasPrefix(key, "logs/") && s.refuse.Load() {
		return errors.New("the store is away")
	}
	return s.Store.Replace(ctx, key, data)
}

// TestLogInTheLedger runs a program whose log is in the ledger until it ends. If the store is
// away then, the whole of it stays there.
func TestLogInTheLedger(t *testing.T) {
	t.Parallel()
	var logs logStore
	r := newFixture(t, func(c *Config) { logs.Store, c.Store = c.Store, &logs })
	r.cfg.Logs = r.ledger.Logs
	gate := filepath.Join(r.dir, "gate")
	r.install("p", `echo working >&2; while [ ! -e `+gate+` ]; do sleep 0.01; done; echo done >&2; echo 1`)
	r.start()
	text := func(id string) string {
		log, _, err := r.ledger.Logs.Read(t.Context(), id, 1, 0)
		r.must(err)
		return string(logtext.Join(log.Chunks))
	}
	for _, away := range []bool{false, true} {
		logs.refuse.Store(away)
		id := r.submit(job("p"))
		r.until("the ledger has the log", func() bool { return text(id) == "working\n" })
		if o, err := r.store.Open(t.Context(), store.LogKey(id, 1)); !errors.Is(err, store.ErrNotExist) {
			t.Errorf("the store has the log of a running program: %v, %v", o, err)
		}
		r.must(os.WriteFile(gate, nil, 0o600))
		r.await(id, jobs.Succeeded)
		r.must(os.Remove(gate))
		if away {
			if got := text(id); got != "working\ndone\n" {
				t.Errorf("the ledger has %q while the store is away", got)
			}
			continue
		}
		if got := string(r.object(store.LogKey(id, 1))); got != "working\ndone\n" {
			t.Errorf("the store has %q", got)
		}
		if got := text(id); got != "" {
			t.Errorf("the ledger still has %q", got)
		}
	}
}
