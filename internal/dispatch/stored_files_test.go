package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestFilesOfInboxJobs lets documents on the inbox name files that were sent before. One whose
// files are not in the store fails.
func TestFilesOfInboxJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	there, absent := strings.Repeat("a", 64), strings.Repeat("b", 64)
	send := func(digest string) {
		t.Helper()
		sent, _, err := f.ledger.Packages.Begin(t.Context(), digest)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := f.ledger.Packages.Record(t.Context(), sent); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	retry := func(id string) error {
		acted, err := f.Act(t.Context(), ledger.VerbRetry, "", []ledger.Target{{ID: id}})
		return errors.Join(err, acted[0].Err)
	}
	send(there)
	var failed []string
	document := func(program, rest string) (id, text string) {
		id = jobs.NewID()
		return id, fmt.Sprintf(`{"id":%q,"program":%q,%s,"result":{"url":"http://r.example/%[1]s"}}`, id, program, rest)
	}
	batch := func(digest string) (id, text string) {
		return document(jobs.BatchProgram, fmt.Sprintf(`"input":{"data":{"job":{"program":"cat","input":{"url":"package:a"}},"frames":"1-2","package":{"a":%q}}}`, digest))
	}
	single := func(digest string) (id, text string) {
		return document("cat", fmt.Sprintf(`"input":{"data":1},"files":[{"name":"a","url":"sha256:%s"}]`, digest))
	}
	for name, kind := range map[string]func(string) (string, string){"a batch": batch, "a job": single} {
		good, goodText := kind(there)
		bad, badText := kind(absent)
		f.put(t, "runnerbean/inbox", goodText)
		f.put(t, "runnerbean/inbox", badText)
		f.state(t, good, jobs.Queued)
		r := f.state(t, bad, jobs.Failed)
		if r.Error.Class != jobs.ClassDocument || !strings.Contains(r.Error.Message, "not in the store, among them "+absent) {
			t.Errorf("%s: %+v", name, r.Error)
		}
		if failed = append(failed, bad); !errors.Is(retry(bad), ledger.ErrDocument) {
			t.Errorf("%s is retried without its file", name)
		}
		_, text := kind(absent)
		if _, err := f.acceptOne(t.Context(), text); err != nil {
			t.Error(err)
		}
		accepted, err := f.Accept(t.Context(), [][]byte{[]byte(text), []byte(goodText)}, "")
		missing, ok := errors.AsType[*packages.Missing](accepted[0].Err)
		if err != nil || !ok || missing.Digests[0] != absent || accepted[1].Err != nil {
			t.Errorf("%s: %+v, %v", name, accepted, err)
		}
	}
	send(absent)
	for _, id := range failed {
		if err := retry(id); err != nil {
			t.Errorf("with its file: %v", err)
		}
		f.state(t, id, jobs.Queued)
	}
}
