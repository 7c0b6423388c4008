package published

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestLedgerBeforeStore opens results that the ledger, the store, both and neither have.
func TestLedgerBeforeStore(t *testing.T) {
	t.Parallel()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := store.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, errApart := New(l.Results, s), errors.New("unmounted")
	for _, test := range []struct {
		ledger, store bool
		want          string
	}{{true, false, "ledger"}, {false, true, "store"}, {true, true, "ledger"}, {false, false, ""}} {
		id := jobs.NewID()
		if test.store {
			if err := s.Create(t.Context(), store.ResultKey(id), []byte("store")); err != nil {
				t.Fatal(err)
			}
		}
		if test.ledger {
			if err := publish(t.Context(), l, id, "ledger"); err != nil {
				t.Fatal(err)
			}
		}
		text := ""
		document, err := r.Open(t.Context(), id)
		if err == nil {
			body, err := io.ReadAll(document)
			if text = string(body); err != nil || int64(len(body)) != document.Size || document.ModTime.IsZero() || (document.Bytes != nil) != test.ledger {
				t.Errorf("%+v: %+v, %v", test, document, err)
			}
			document.Close()
		}
		if text != test.want || errors.Is(err, fs.ErrNotExist) != (test.want == "") {
			t.Errorf("%+v: %q, %v", test, text, err)
		}
		for _, apart := range []error{nil, errApart} {
			found, err := r.Exists(t.Context(), id, func(context.Context) error { return apart })
			if want := apart != nil && !test.ledger; errors.Is(err, errApart) != want || !want && found != (test.want != "") {
				t.Errorf("%+v: found %t, %v", test, found, err)
			}
		}
	}
}

// publish has a job succeed with a result in the ledger.
func publish(ctx context.Context, l *ledger.Ledger, id, document string) error {
	if _, err := l.Accept(ctx, []ledger.Entry{{Job: jobs.Job{ID: id, Program: "p"}, Document: []byte("{}")}}); err != nil {
		return err
	}
	claim, err := l.Claim(ctx, id, ledger.Owner{Instance: "i", Node: "n"}, "abc")
	if err != nil {
		return err
	}
	_, err = l.Finish(ctx, id, claim.Record.Attempt, ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Result: []byte(document)})
	return err
}
