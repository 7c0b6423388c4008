package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestDoctorNamesANeedThatNobodyHasPut checks that ten minutes pass before that.
func TestDoctorNamesANeedThatNobodyHasPut(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]string{0: "ok", 9 * time.Minute: "ok", 11 * time.Minute: "warning"} {
		set := settings.Settings{Ledger: "sqlite:" + t.TempDir() + "/ledger.db"}
		if f := checkNeeds(peek(t, set)); f.Status != "ok" {
			t.Errorf("without a ledger: %+v", f)
		}
		l, err := ledger.Open(t.Context(), ledger.Config{DSN: set.Ledger, Now: func() time.Time { return time.Now().Add(-age) }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		job := jobs.Job{ID: jobs.NewID(), Program: "p", Needs: []string{jobs.NewID()}}
		if _, err := l.Accept(t.Context(), []ledger.Entry{{Job: job, Document: []byte("{}")}}); err != nil {
			t.Fatal(err)
		}
		f := checkNeeds(peek(t, set))
		if named := strings.Contains(f.Detail, "needs job "+job.Needs[0]); string(f.Status) != want || named != (want == "warning") {
			t.Errorf("after %s: %+v", age, f)
		}
	}
}

func peek(t *testing.T, set settings.Settings) engine.Peeked {
	t.Helper()
	seen, err := ledger.Peek(t.Context(), set.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
