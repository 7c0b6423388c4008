package worker

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

func (r *fixture) tubeStats(program string) map[string]string {
	r.t.Helper()
	stats, err := r.producer.TubeStats(context.Background(), r.bean.Addr, queue.RunTube(testPrefix, r.ledger.ID(), program))
	r.must(err)
	return stats
}

// TestForeignMessages has messages that no node has put.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo 1")
	r.install("q", "echo 2")
	for _, body := range []string{
		"", "hello", "\x00\x00\x00", `{"id":"../../etc/passwd"}`, `{"id":7}`, `[]`, `{"id":"` + jobs.NewID() + `"}`,
		`{"id":"` + jobs.NewID() + `","program":"p"}`, `{"id":"a","id":"b"}`,
	} {
		r.putBody("p", body)
	}
	r.start()
	r.tubeEmpty("p")
}

// TestWrongTube has a message on the tube of another program. The job is not run by it
// and waits for another message.
func TestWrongTube(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo 1")
	j := job("q")
	r.accept(j)
	r.putBody("p", `{"id":"`+j.ID+`","program":"p"}`)
	r.start()
	r.until("the job says why it waits", func() bool { return r.get(j.ID).Reason == "its message was on the run tube of program p" })
	r.tubeEmpty("p")
	if got := r.get(j.ID); got.State != jobs.Queued || got.Spent != 0 {
		t.Errorf("job is %s, %d spent", got.State, got.Spent)
	}
	r.install("q", "echo 2")
	r.put(j)
	r.await(j.ID, jobs.Succeeded)
	if got := string(r.result(j.ID).Result); got != "2" {
		t.Errorf("result is %s", got)
	}
}

// TestDuplicateMessages checks that several messages run a job once.
func TestDuplicateMessages(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo 1")
	j := job("p")
	r.accept(j)
	for range 10 {
		r.put(j)
	}
	r.start()
	r.await(j.ID, jobs.Succeeded)
	r.tubeEmptyOrDelayed("p")
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeSucceeded}, r.outcomes(j.ID)); diff != "" {
		t.Error(diff)
	}
}

// tubeEmptyOrDelayed waits until no message is ready or held.
func (r *fixture) tubeEmptyOrDelayed(program string) {
	r.t.Helper()
	r.until("nothing is ready", func() bool {
		s := r.tubeStats(program)
		return s["current-jobs-ready"] == "0" && s["current-jobs-reserved"] == "0"
	})
}

// TestNotYet delays a job that may not start yet, and one that runs on another
// instance.
func TestNotYet(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo 1")
	early := job("p")
	early.NotBefore = time.Now().Add(time.Hour)
	r.submit(early)
	other := nodes.Node{Name: "n2", Instance: jobs.NewID()}
	r.must(r.ledger.Nodes.Register(t.Context(), other))
	busy := job("p")
	r.accept(busy)
	_, err := r.ledger.Claim(t.Context(), busy.ID, ledger.Owner{Instance: other.Instance, Node: other.Name}, "")
	r.must(err)
	r.put(busy)
	waiting := job("p")
	waiting.Needs = []string{early.ID}
	r.submit(waiting)
	r.start()
	r.until("two messages are put off and one is deleted", func() bool {
		s := r.tubeStats("p")
		return s["current-jobs-delayed"] == "2" && s["current-jobs-ready"] == "0" && s["current-jobs-reserved"] == "0"
	})
	for id, want := range map[string]jobs.State{early.ID: jobs.Queued, busy.ID: jobs.Running, waiting.ID: jobs.Waiting} {
		if got := r.get(id).State; got != want {
			t.Errorf("job is %s, want %s", got, want)
		}
	}
}

// TestSendsWhatWaited checks that Send gets the jobs that a success releases.
func TestSendsWhatWaited(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo 1")
	r.cfg.Send = func(_ context.Context, records []ledger.Record) error {
		for _, record := range records {
			r.put(jobs.Job{ID: record.ID, Program: record.Program})
		}
		return nil
	}
	first := job("p")
	second := job("p")
	second.Needs = []string{first.ID}
	r.accept(first)
	r.accept(second)
	r.put(first)
	r.start()
	r.await(second.ID, jobs.Succeeded)
}

// failingLedger is a ledger that fails for a while.
type failingLedger struct {
	Ledger
	claims, holds, ends atomic.Int32 // failures left
}

var errIll = errors.New("database is locked")

func (i *failingLedger) Claim(ctx context.Context, id string, o ledger.Owner, sum string) (ledger.Claim, error) {
	if i.claims.Add(-1) >= 0 {
		return ledger.Claim{}, errIll
	}
	return i.Ledger.Claim(ctx, id, o, sum)
}

func (i *failingLedger) Holds(ctx context.Context, id string, attempt int) error {
	if i.holds.Add(-1) >= 0 {
		return errIll
	}
	return i.Ledger.Holds(ctx, id, attempt)
}

func (i *failingLedger) Finish(ctx context.Context, id string, attempt int, e ledger.Ending) ([]ledger.Record, error) {
	if i.ends.Add(-1) >= 0 {
		return nil, errIll
	}
	return i.Ledger.Finish(ctx, id, attempt, e)
}

// TestLedgerFails checks that no job is lost or run twice, and that its result waits for
// the ledger.
func TestLedgerFails(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]func(*Config){"result in the ledger": func(*Config) {}, "result in the store": inStore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) {
				i := &failingLedger{Ledger: c.Ledger}
				i.holds.Store(3)
				i.ends.Store(3)
				c.Ledger = i
			}, option)
			r.install("p", "echo 1")
			r.start()
			id := r.submit(job("p"))
			if record := r.await(id, jobs.Succeeded); record.Attempt != 1 {
				t.Errorf("%d attempts", record.Attempt)
			}
			if got := string(r.result(id).Result); got != "1" {
				t.Errorf("the result is %s", got)
			}
			r.tubeEmpty("p")
		})
	}
}

// TestEndIsKept checks that an end that the ledger did not take survives the node: the next
// one records it, and the program does not run again.
func TestEndIsKept(t *testing.T) {
	t.Parallel()
	i := &failingLedger{}
	i.ends.Store(1 << 20)
	r := newFixture(t, func(c *Config) {
		i.Ledger, c.Ledger = c.Ledger, i
		c.Unreported = filepath.Join(t.TempDir(), "unreported")
	})
	kept := func() int {
		list, err := filepath.Glob(filepath.Join(r.cfg.Unreported, "*.json"))
		r.must(err)
		return len(list)
	}
	r.install("p", "echo 1")
	r.start()
	id := r.submit(job("p"))
	r.until("the end is kept", func() bool { return kept() == 1 })
	if record := r.get(id); record.State != jobs.Running {
		t.Fatalf("the job is %s", record.State)
	}
	next := r.cfg // as the first would start again, which still tries
	next.Ledger = i.Ledger
	_, err := New(next)
	r.must(err)
	if record := r.get(id); record.State != jobs.Succeeded || record.Attempt != 1 || kept() != 0 {
		t.Errorf("%+v; %d kept", record, kept())
	}
	if got := string(r.result(id).Result); got != "1" {
		t.Errorf("the result is %s", got)
	}
	i.ends.Store(0) // the first learns that its attempt has ended
}

// TestLedgerRefuses delays the message while no claim is possible.
func TestLedgerRefuses(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) {
		i := &failingLedger{Ledger: c.Ledger}
		i.claims.Store(1 << 20)
		c.Ledger = i
	})
	r.install("p", "echo 1")
	r.start()
	id := r.submit(job("p"))
	r.until("the message is put off", func() bool { return r.tubeStats("p")["current-jobs-delayed"] == "1" })
	if got := r.get(id).State; got != jobs.Queued {
		t.Errorf("job is %s", got)
	}
}

// TestRetryIsMarked checks that the message of the next attempt is marked as sent, so
// that the reconciler puts no second one.
func TestRetryIsMarked(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.BackoffBase, c.BackoffMax = time.Hour, time.Hour })
	r.install("p", "exit 1")
	r.start()
	id := r.submit(job("p"))
	r.until("the job waits for its second attempt", func() bool { return r.tubeStats("p")["current-jobs-delayed"] == "1" })
	if record := r.get(id); record.State != jobs.Queued || record.Spent != 1 || record.NotBefore.IsZero() {
		t.Errorf("job is %+v", record)
	}
	servers, err := r.producer.Servers(t.Context())
	r.must(err)
	unsent, _, err := r.ledger.Unsent(t.Context(), []string{servers[0].ID}, time.Now().Add(time.Minute), 10)
	r.must(err)
	if len(unsent) != 0 {
		t.Errorf("%d jobs count as not sent", len(unsent))
	}
}

// TestBeanstalkdGone kills and restarts beanstalkd while a job runs.
func TestBeanstalkdGone(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	open := r.gate("slow")
	r.start()
	id := r.submit(job("slow"))
	r.awaitMessage(id)
	r.bean.Kill()
	open()
	r.await(id, jobs.Succeeded)
	r.bean.Restart()
	r.await(r.submit(job("slow")), jobs.Succeeded)
	r.tubeEmpty("slow")
}

// TestOneSlotTwoServers takes work from both servers, also while one is down.
func TestOneSlotTwoServers(t *testing.T) {
	t.Parallel()
	other := queuetest.Start(t)
	r := newFixture(t, func(c *Config) { c.Slots, c.Queue.Addrs = 1, append(c.Queue.Addrs, other.Addr) })
	r.install("p", "echo 1")
	second, err := queue.NewProducer(queue.Config{Addrs: []string{other.Addr}})
	r.must(err)
	defer second.Close()
	first, producers := r.producer, []*queue.Producer{r.producer, second}
	r.start()
	var ids []string
	for i := range 20 {
		r.producer = producers[i%2]
		ids = append(ids, r.submit(job("p")))
	}
	r.producer = first
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
	}
	other.Kill()
	r.await(r.submit(job("p")), jobs.Succeeded)
}
