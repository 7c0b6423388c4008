package worker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
)

// writes counts what is written besides claims and ends.
type writes struct {
	Ledger
	publish.Store
	reports, logs, creates atomic.Int32
}

func (w *writes) Report(ctx context.Context, id string, attempt int, live ledger.Live) error {
	w.reports.Add(1)
	return w.Ledger.Report(ctx, id, attempt, live)
}

func (w *writes) Create(ctx context.Context, key string, data []byte) error {
	w.creates.Add(1)
	return w.Store.Create(ctx, key, data)
}

func (w *writes) Replace(ctx context.Context, key string, data []byte) error {
	// Counted once it is there, because tests wait for the count and then look.
	defer w.logs.Add(1)
	return w.Store.Replace(ctx, key, data)
}

func countWrites(count *writes) func(*Config) {
	return func(c *Config) {
		count.Ledger, count.Store = c.Ledger, c.Store
		c.Ledger, c.Store = count, count
	}
}

// TestShortJobWritesNothingMore checks that a small job writes its end and result alone.
func TestShortJobWritesNothingMore(t *testing.T) {
	t.Parallel()
	var count writes
	r := newFixture(t, countWrites(&count))
	r.install("cat", "cat")
	r.start()
	r.await(r.submit(job("cat")), jobs.Succeeded)
	if r, l, c := count.reports.Load(), count.logs.Load(), count.creates.Load(); r != 0 || l != 0 || c != 0 {
		t.Errorf("%d reports, %d logs and %d objects were written", r, l, c)
	}
}

// TestProgress checks that events are merged and that reports are limited in number.
func TestProgress(t *testing.T) {
	t.Parallel()
	var count writes
	r := newFixture(t, countWrites(&count))
	gate := filepath.Join(r.dir, "gate")
	r.install("p", `
		for i in 1 2 3 4 5 6 7 8 9; do echo '{"progress":0.'$i',"counters":{"n":'$i'}}' >&3; done
		echo 'not json' >&3
		echo '{"progress":NaN}' >&3
		echo '{"message":"week 3","partial":{"x": [1, 2]},"later":true,"counters":{"m":2}}' >&3
		echo '{"progress":7}' >&3
		echo working >&2
		while [ ! -e `+gate+` ]; do sleep 0.01; done; echo 1`)
	r.start()
	id := r.submit(job("p"))
	r.until("all of it is recorded", func() bool {
		live := r.get(id).Live
		return live.Progress != nil && *live.Progress == 1 && live.Message == "week 3" &&
			string(live.Partial) == `{"x":[1,2]}` && live.Counters["n"] == 9 && live.Counters["m"] == 2
	})
	r.until("the log of the running program is stored", func() bool {
		return count.logs.Load() > 0 && strings.Contains(string(r.object(store.LogKey(id, 1))), "working\n")
	})
	if text := string(r.object(store.LogKey(id, 1))); !strings.Contains(text, "working\n") || strings.Count(text, "event line is ignored") != 2 {
		t.Errorf("log is %q", text)
	}
	if n := count.reports.Load(); n > 4 {
		t.Errorf("%d reports for 13 events in a moment", n)
	}
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
}

// TestLogOfAShortJob checks that a log is stored once, before the end of the job is
// recorded.
func TestLogOfAShortJob(t *testing.T) {
	t.Parallel()
	var count writes
	r := newFixture(t, countWrites(&count))
	r.install("p", "echo one >&2; echo two >&2; exit 65")
	r.start()
	id := r.submit(job("p"))
	record := r.await(id, jobs.Failed)
	if got := string(r.object(store.LogKey(id, 1))); got != "one\ntwo\n" || count.logs.Load() != 1 {
		t.Errorf("log is %q after %d writes", got, count.logs.Load())
	}
	if record.Error.LogTail != "one\ntwo\n" {
		t.Errorf("tail is %q", record.Error.LogTail)
	}
}

// TestProgressOverwritten has a program that overwrites its progress with carriage
// returns, as POV-Ray does, and writes more of it than an error keeps.
func TestProgressOverwritten(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", `printf 'Szene wird gelesen …\r\n' >&2
i=0; while [ $i -lt 400 ]; do printf 'Gerendert: %3d von 400 Zeilen — größter Wert\r' $i >&2; i=$((i+1)); done
printf '\r\nFatal error: kein Licht für „Küche“\r\n' >&2
exit 65`)
	r.start()
	record := r.await(r.submit(job("p")), jobs.Failed)
	if got, want := record.Error.Message, "Fatal error: kein Licht für „Küche“"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
	want := "Szene wird gelesen …\nGerendert: 399 von 400 Zeilen — größter Wert\nFatal error: kein Licht für „Küche“\n"
	if got := record.Error.LogTail; got != want {
		t.Errorf("tail is %q, want %q", got, want)
	}
	if log := string(r.object(store.LogKey(record.ID, 1))); !strings.Contains(log, "Gerendert:  17 von 400 Zeilen — größter Wert\r") {
		t.Error("the log is not stored as it was written")
	}
}

// TestFloodedLog floods stderr: the log is bounded and the program never waits.
func TestFloodedLog(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo begin >&2; head -c 30000000 /dev/zero | tr '\\0' 'x' >&2; echo end >&2; echo 1")
	r.start()
	id := r.submit(job("p"))
	r.await(id, jobs.Succeeded)
	log := string(r.object(store.LogKey(id, 1)))
	if !strings.HasPrefix(log, "begin\n") || !strings.HasSuffix(log, "end\n") || len(log) > 2<<20 {
		t.Errorf("the log has %d bytes", len(log))
	}
}
