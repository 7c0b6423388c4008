package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/jobs"
)

// machine runs a ledger and its model side by side.
type machine struct {
	*fixture
	m     *model
	dir   string
	opens int
	final map[string]Record // as they were when they became final
	sent  map[string]bool   // queued jobs whose message is marked
	seen  map[string]string // the model's jobs as they were compared last
	ends  ends
	steps int
}

// nodeOf maps instances to their nodes.
var nodeOf = map[string]string{"i1": "n1", "i2": "n2", "j1": "n3"}

var instances = []string{"i1", "i2", "j1"}

func TestLedgerFollowsTheModel(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		s := newMachine(rt, filepath.Join(root, fmt.Sprint(n)))
		defer func() {
			_ = s.Ledger.Close()
			_ = os.RemoveAll(s.dir)
		}()
		rt.Repeat(map[string]func(*rapid.T){
			// Steps that move jobs forward are more frequent.
			"accept": s.accept, "claim": s.claim, "claim more": s.claim, "finish": s.finish, "finish more": s.finish,
			"finish again": s.finishStale, "act": s.act, "act on running": s.actRunning, "retry with dependents": s.retryWithDependents,
			"report": s.report, "recover": s.recover, "expire": s.expire, "beat": s.beat, "mark": s.mark,
			"wait": s.wait, "rollup": s.rollup, "reopen": s.reopen, "crash": s.crash, "": s.check,
		})
	})
}

func newMachine(rt *rapid.T, dir string) *machine {
	d := &fixture{t: rt, clock: &testClock{}}
	d.clock.us.Store(time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC).UnixMicro())
	s := &machine{
		fixture: d, dir: dir, final: map[string]Record{}, sent: map[string]bool{}, seen: map[string]string{}, ends: newEnds(),
		m: &model{now: d.clock.now(), jobs: map[string]*modelJob{}, beat: map[string]time.Time{}, deleted: map[string]jobs.State{}},
	}
	s.folder()
	s.enter()
	for _, i := range instances {
		d.must(d.Nodes.Register(rt.Context(), nodes.Node{Name: nodeOf[i], Instance: i, Programs: []nodes.Program{{Name: "p"}, {Name: "q"}}}))
		s.m.beat[i] = s.m.now
	}
	return s
}

// enter opens the ledger without syncs, because a dying process needs none.
func (s *machine) enter() {
	// A process that has not observed heartbeats takes no node for dead.
	for _, i := range instances {
		s.m.beat[i] = s.m.now
	}
	s.Ledger = s.openWith(func(w *sqlite.Writer) { w.SyncLog = func(*os.File) error { return nil } })
}

// folder makes a new folder for the file.
func (s *machine) folder() {
	s.opens++
	dir := filepath.Join(s.dir, fmt.Sprint(s.opens))
	s.must(os.MkdirAll(dir, 0o700))
	s.path = filepath.Join(dir, "ledger.db")
	s.dsn = newDSN(s.t, s.path)
}

func jobID(n int) string { return fmt.Sprintf("01990000-0000-7000-8000-%012d", n) }

// programOf makes jobs of two programs.
func programOf(id string) string { return []string{"p", "q"}[id[len(id)-1]%2] }

// some draws a job, or skips the step.
func (s *machine) some(rt *rapid.T, want func(*modelJob) bool) *modelJob {
	var list []string
	for _, id := range s.m.ids {
		if want == nil || want(s.m.jobs[id]) {
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		rt.Skip("no such job")
	}
	return s.m.jobs[rapid.SampledFrom(list).Draw(rt, "job")]
}

// newJob draws a job that may need others, some of which do not exist yet.
func (s *machine) newJob(rt *rapid.T) (*modelJob, Entry) {
	n := rapid.IntRange(0, 11).Draw(rt, "id")
	j := &modelJob{id: jobID(n)}
	version := rapid.IntRange(0, 1).Draw(rt, "document")
	needs := rapid.SliceOfN(rapid.IntRange(0, 11), 0, 2).Draw(rt, "needs")
	for _, k := range needs {
		if k != n && !slices.Contains(j.needs, jobID(k)) {
			j.needs = append(j.needs, jobID(k))
		}
	}
	if rapid.IntRange(0, 4).Draw(rt, "delayed") == 0 {
		j.startAfter = s.m.now.Add(10 * time.Second)
	}
	if rapid.IntRange(0, 4).Draw(rt, "expiring") == 0 {
		j.expires = s.m.now.Add(15 * time.Second)
	}
	// Where a job ends together with its need, it is open which of them comes first.
	alone := j.expires.IsZero() && !slices.ContainsFunc(j.needs, func(n string) bool { return s.m.state(n) == "" })
	j.anyEnd = alone && rapid.IntRange(0, 2).Draw(rt, "any end") > 0
	doc := jobs.Job{ID: j.id, Program: programOf(j.id), Needs: j.needs, NeedsFailed: j.needsFailed(), NotBefore: j.startAfter, Expires: j.expires}
	listed, err := json.Marshal(j.needs)
	s.must(err)
	j.document = fmt.Sprintf(`{"id":%q,"n":%d,"needs":%s,"needs_failed":%q}`, j.id, version, listed, j.needsFailed())
	e := Entry{Job: doc, Document: []byte(j.document)}
	if rapid.IntRange(0, 9).Draw(rt, "faulty") == 0 {
		e.Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
	}
	return j, e
}

func (s *machine) accept(rt *rapid.T) {
	var entries []Entry
	var want []Accepted
	for range rapid.IntRange(1, 3).Draw(rt, "batch") {
		j, e := s.newJob(rt)
		entries = append(entries, e)
		if known := s.m.jobs[j.id]; s.m.deleted[j.id] != "" {
			want = append(want, Accepted{Err: retention.ErrDeleted})
		} else if known == nil {
			s.m.accept(j, e.Fault != nil)
			want = append(want, Accepted{New: true})
		} else if known.document == j.document {
			want = append(want, Accepted{})
		} else {
			want = append(want, Accepted{Err: ErrConflict})
		}
	}
	got, err := s.Accept(rt.Context(), entries)
	s.must(err)
	for i, a := range got {
		if a.New != want[i].New || !errors.Is(a.Err, want[i].Err) || a.Record.ID != entries[i].Job.ID {
			rt.Fatalf("accept %d: %+v, want %+v", i, a, want[i])
		}
	}
}

func (s *machine) claim(rt *rapid.T) {
	j := s.some(rt, nil)
	instance := rapid.SampledFrom(instances).Draw(rt, "instance")
	alone := rapid.Bool().Draw(rt, "alone")
	got, err := s.Claim(rt.Context(), j.id, Owner{Instance: instance, Node: nodeOf[instance], Alone: alone}, "")
	s.must(err)
	before := j.attempt
	ok, alive := s.m.claim(j, instance, alone)
	if got.OK != ok || got.Alive != alive || got.Record.State != j.state {
		rt.Fatalf("claim: %+v, want ok %v, alive %v, %+v", got, ok, alive, j)
	}
	if ok {
		delete(s.sent, j.id)
		if got.Record.Attempt != before+1 {
			rt.Fatalf("attempt %d after %d", got.Record.Attempt, before)
		}
	}
}

// endings are what a worker may report at the end of an attempt.
func (s *machine) ending(rt *rapid.T) Ending {
	e := rapid.SampledFrom([]Ending{
		{State: jobs.Succeeded, Outcome: jobs.OutcomeSucceeded},
		{State: jobs.Succeeded, Outcome: jobs.OutcomeSucceeded, Inputs: InputsHad},
		{State: jobs.Failed, Outcome: jobs.OutcomeFailed},
		{State: jobs.Failed, Outcome: jobs.OutcomeError},
		{State: jobs.Queued, Outcome: jobs.OutcomeTimeout},
		{State: jobs.Queued, Outcome: jobs.OutcomeInterrupted},
		{State: jobs.Queued, Outcome: jobs.OutcomeLost},
		{State: jobs.Cancelled, Outcome: jobs.OutcomeCancelled},
	}).Draw(rt, "ending")
	if e.State == jobs.Queued && e.Outcome == jobs.OutcomeTimeout {
		e.NotBefore = s.m.now.Add(5 * time.Second)
	}
	return e
}

func isRunning(j *modelJob) bool { return j.state == jobs.Running }

func (s *machine) finish(rt *rapid.T) {
	j := s.some(rt, isRunning)
	e := s.ending(rt)
	before := s.states()
	released, err := s.Finish(rt.Context(), j.id, j.attempt, e)
	s.must(err)
	s.m.finish(j, e)
	var want []string
	for _, id := range s.m.ids {
		if before[id] == jobs.Waiting && s.m.jobs[id].state == jobs.Queued {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, ids(released)); diff != "" {
		rt.Fatalf("released: %s", diff)
	}
}

func (s *machine) states() map[string]jobs.State {
	m := map[string]jobs.State{}
	for id, j := range s.m.jobs {
		m[id] = j.state
	}
	return m
}

// finishStale reports the end of an attempt that does not run.
func (s *machine) finishStale(rt *rapid.T) {
	j := s.some(rt, nil)
	attempt := j.attempt
	if isRunning(j) {
		attempt += rapid.SampledFrom([]int{-1, 1}).Draw(rt, "off")
	}
	if _, err := s.Finish(rt.Context(), j.id, attempt, s.ending(rt)); !errors.Is(err, ErrStale) {
		rt.Fatalf("stale finish of attempt %d: %v, %+v", attempt, err, j)
	}
}

func (s *machine) act(rt *rapid.T) { s.actOn(rt, s.some(rt, nil)) }

func (s *machine) actRunning(rt *rapid.T) { s.actOn(rt, s.some(rt, isRunning)) }

func (s *machine) actOn(rt *rapid.T, j *modelJob) {
	verb := rapid.SampledFrom(Verbs).Draw(rt, "verb")
	before := *j
	refusal := s.m.act(verb, j)
	job := jobs.Job{ID: j.id, Program: programOf(j.id), Needs: j.needs, NeedsFailed: j.needsFailed(), NotBefore: j.startAfter, Expires: j.expires}
	list, err := s.Act(rt.Context(), verb, "somebody", []Target{{ID: j.id, Job: &job}})
	s.must(err)
	if got := list[0]; !errors.Is(got.Err, refusal) || got.Err != nil && refusal == nil || got.Record.State != j.state {
		rt.Fatalf("%s of %+v: %v, %+v; want %v, %+v", verb, before, got.Err, got.Record, refusal, j)
	}
	if before.state.Final() && !j.state.Final() || s.m.deleted[j.id] != "" {
		delete(s.final, j.id)
	}
	if before.state != j.state || verb == VerbReset && before.state == jobs.Queued {
		delete(s.sent, j.id)
	}
}

// retryWithDependents retries a job and those that failed because of it.
func (s *machine) retryWithDependents(rt *rapid.T) {
	j := s.some(rt, func(j *modelJob) bool { return j.state == jobs.Failed || s.m.needed(j) })
	byNeeds := map[string]bool{}
	for id, d := range s.m.jobs {
		byNeeds[id] = d.state == jobs.Failed && s.record(id).Error.Class == jobs.ClassNeeds
	}
	before := s.states()
	refusal := s.m.act(VerbRetry, j)
	var want []string
	if refusal == nil || !errors.Is(refusal, ErrNeeds) && s.m.needed(j) {
		refusal, want = nil, s.m.revive(j, byNeeds)
	}
	job := jobs.Job{ID: j.id, Program: programOf(j.id), Needs: j.needs, NeedsFailed: j.needsFailed(), NotBefore: j.startAfter, Expires: j.expires}
	list, err := s.Act(rt.Context(), VerbRetry, "somebody", []Target{{ID: j.id, Job: &job, Dependents: true}})
	s.must(err)
	if got := list[0].Err; !errors.Is(got, refusal) || got != nil && refusal == nil {
		rt.Fatalf("retry of %+v with dependents: %v, want %v", j, got, refusal)
	}
	got, _ := s.reviveAll()
	slices.Sort(want)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("revived by %s: %s", j.id, diff)
	}
	for id, state := range before {
		if state.Final() && !s.m.jobs[id].state.Final() {
			delete(s.final, id)
			delete(s.sent, id)
		}
	}
}

func (s *machine) report(rt *rapid.T) {
	j := s.some(rt, nil)
	err := s.Report(rt.Context(), j.id, j.attempt, Live{Message: "on it"})
	if isRunning(j) != (err == nil) || err != nil && !errors.Is(err, ErrStale) {
		rt.Fatalf("report: %v, %+v", err, j)
	}
}

func (s *machine) recover(rt *rapid.T) {
	want := map[string]jobs.State{}
	for _, j := range s.m.lost() {
		s.m.lose(j)
		want[j.id] = j.state
	}
	list, err := s.Recover(rt.Context(), 0)
	s.must(err)
	got := map[string]jobs.State{}
	for _, r := range list {
		got[r.ID] = r.State
	}
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("recovered: %s", diff)
	}
}

func (s *machine) expire(rt *rapid.T) {
	// A job that fails for another in the same call may be named or not.
	before := s.states()
	want := s.m.expire()
	got, err := s.Expire(rt.Context(), 100)
	s.must(err)
	for _, id := range got {
		if !slices.Contains(want, id) {
			rt.Fatalf("expired %s, which was %s; want %v", id, before[id], want)
		}
	}
}

func (s *machine) beat(rt *rapid.T) {
	i := rapid.SampledFrom(instances).Draw(rt, "instance")
	s.must(s.Nodes.Beat(rt.Context(), i, nil, 1, nil))
	s.m.beat[i] = s.m.now
}

func (s *machine) mark(rt *rapid.T) {
	j := s.some(rt, nil)
	s.must(s.MarkSent(rt.Context(), []Sent{{ID: j.id, Server: "s", Message: 1}}))
	if j.state == jobs.Queued {
		s.sent[j.id] = true
	}
}

func (s *machine) wait(rt *rapid.T) {
	s.clock.advance(rapid.SampledFrom([]time.Duration{time.Second, 6 * time.Second, 21 * time.Second, time.Hour}).Draw(rt, "wait"))
	s.m.now = s.clock.now()
}

func (s *machine) rollup(rt *rapid.T) {
	s.must(s.Activity.Rollup(rt.Context()))
	left := 0
	s.must(sqlDB(s.Ledger).QueryRow(fmt.Sprintf("SELECT COUNT(*) FROM tallies WHERE at <> %d", engine.Micros(s.now().Truncate(time.Minute)))).Scan(&left))
	if left > 0 {
		rt.Fatalf("%d rows are not rolled up", left)
	}
}

func (s *machine) reopen(*rapid.T) {
	s.must(s.Ledger.Close())
	s.enter()
}

// crash copies the files while a job is being accepted and continues with the copy. On
// PostgreSQL it opens the ledger again. The
// job is there completely or not at all.
func (s *machine) crash(rt *rapid.T) {
	j, e := s.newJob(rt)
	old, from, file := s.Ledger, s.path, s.onFile()
	if file {
		s.folder()
	}
	done := make(chan error)
	go func() {
		_, err := old.Accept(rt.Context(), []Entry{e})
		done <- err
	}()
	for _, suffix := range []string{"", "-wal"} {
		if file {
			s.must(copyFile(from+suffix, s.path+suffix))
		}
	}
	s.must(<-done)
	s.must(old.Close())
	s.enter()
	if _, err := s.Get(rt.Context(), j.id); err == nil && s.m.jobs[j.id] == nil {
		s.m.accept(j, e.Fault != nil)
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
