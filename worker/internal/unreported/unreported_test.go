package unreported

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// ends is a ledger that notes what it gets.
type ends struct {
	got map[string]ledger.Ending
	err error
}

func (l *ends) Finish(_ context.Context, id string, attempt int, e ledger.Ending) ([]ledger.Record, error) {
	if l.err == nil {
		l.got[id] = e
	}
	return nil, l.err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func left(t *testing.T, f Folder) int {
	t.Helper()
	list, err := os.ReadDir(f.path)
	must(t, err)
	return len(list)
}

// An end is recorded as it was, once, and stays while the ledger does not answer.
func TestReport(t *testing.T) {
	t.Parallel()
	f, err := Open(filepath.Join(t.TempDir(), "ends"))
	must(t, err)
	want := map[string]ledger.Ending{
		"good": {Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, ExitCode: -1, Result: []byte(`{"n":1.0}`), CPU: time.Second, MaxRSS: 5},
		"bad":  {Outcome: jobs.OutcomeError, State: jobs.Queued, NotBefore: time.UnixMicro(5).UTC(), Reason: "r", Error: &jobs.Error{Class: "exit", Message: "m"}, ExitCode: 1, Inputs: ledger.InputsHad},
	}
	for id, e := range want {
		must(t, f.Keep(id, 2, &e))
	}
	l := &ends{got: map[string]ledger.Ending{}, err: errors.New("away")}
	if err := f.Report(t.Context(), l, slog.New(slog.DiscardHandler)); err == nil || left(t, f) != 2 {
		t.Errorf("%v, %d left", err, left(t, f))
	}
	l.err = nil
	must(t, f.Report(t.Context(), l, slog.New(slog.DiscardHandler)))
	if !reflect.DeepEqual(l.got, want) || left(t, f) != 0 {
		t.Errorf("recorded %+v, want %+v; %d left", l.got, want, left(t, f))
	}
}

// What the disk does not give stays, and keeps back nothing else.
func TestReportOfUnreadableFiles(t *testing.T) {
	t.Parallel()
	f, err := Open(t.TempDir())
	must(t, err)
	must(t, os.Mkdir(f.file("a", 1), 0o700)) // a read of it fails
	must(t, f.Keep("b", 1, &ledger.Ending{}))
	l := &ends{got: map[string]ledger.Ending{}}
	if err := f.Report(t.Context(), l, slog.New(slog.DiscardHandler)); err == nil || len(l.got) != 1 || left(t, f) != 1 {
		t.Errorf("%v, recorded %v, %d left", err, l.got, left(t, f))
	}
}

// What is of no use does not keep a node from starting.
func TestReportDrops(t *testing.T) {
	t.Parallel()
	for _, gone := range []error{ledger.ErrStale, ledger.ErrUnknown} {
		f, err := Open(t.TempDir())
		must(t, err)
		must(t, f.Keep("id", 1, &ledger.Ending{}))
		must(t, os.WriteFile(filepath.Join(f.path, "half.1.json"), []byte(`{"Out`), 0o600))
		must(t, os.WriteFile(filepath.Join(f.path, ".new-1"), nil, 0o600))
		must(t, os.WriteFile(filepath.Join(f.path, "id.x.json"), []byte("{}"), 0o600))
		must(t, os.Truncate(f.file("half", 1), maxFile+1))
		must(t, f.Report(t.Context(), &ends{err: gone}, slog.New(slog.DiscardHandler)))
		if left(t, f) != 0 {
			t.Errorf("%d files are left", left(t, f))
		}
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	f, err := Open(t.TempDir())
	must(t, err)
	must(t, f.Keep("id", 1, &ledger.Ending{}))
	must(t, f.Forget("id", 1))
	must(t, f.Forget("id", 1))
	var none Folder
	must(t, none.Keep("id", 1, &ledger.Ending{}))
	must(t, none.Forget("id", 1))
	if left(t, f) != 0 {
		t.Error("it is still there")
	}
}

// FuzzRead checks that no file makes a node panic.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"Outcome":"succeeded","Result":"e30="}`, `{"Error":{}}`, `[`, ``, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "id.1.json")
		must(t, os.WriteFile(path, data, 0o600))
		if id, attempt, _, err := read(path); err == nil && (id != "id" || attempt != 1) {
			t.Errorf("%s, %d", id, attempt)
		}
	})
}
