package worker

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// saves is a program that counts its attempts in checkpoint/n and in a folder, and says in its
// log with what it began. do is what it does after its event.
func saves(do string) string {
	return `echo "began with $(cat checkpoint/n 2>/dev/null) restored=$RUNNERBEAN_RESTORED $(ls checkpoint | tr '\n' ' ')" >&2
		old=$(cat checkpoint/n 2>/dev/null || echo 0); new=$((old + 1))
		echo $new >tmp/n; mkdir -p checkpoint/deep; mv tmp/n checkpoint/n
		echo '{"checkpoint":true}' >&3
		` + do
}

// kept returns the numbers of the checkpoints of a job, the newest first.
func (r *fixture) kept(id string) (list []checkpoints.Checkpoint) {
	r.t.Helper()
	list, err := r.ledger.Checkpoints.Kept(context.Background(), id)
	r.must(err)
	return list
}

func numbers(list []checkpoints.Checkpoint) (n []int) {
	for _, c := range list {
		n = append(n, c.Number)
	}
	return n
}

func (r *fixture) awaitKept(id string, want ...int) {
	r.t.Helper()
	r.until("the checkpoints are kept", func() bool { return slices.Equal(numbers(r.kept(id)), want) })
}

func checkpointKey(c checkpoints.Checkpoint) string {
	return store.CheckpointKey(c.Job, c.Attempt, c.Number)
}

// log returns the log of an attempt.
func (r *fixture) log(id string, attempt int) string {
	r.t.Helper()
	return string(r.object(store.LogKey(id, attempt)))
}

func (r *fixture) wantLog(id string, attempt int, want string) {
	r.t.Helper()
	if got := r.log(id, attempt); !strings.Contains(got, want) {
		r.t.Errorf("the log of attempt %d is %q, want %q in it", attempt, got, want)
	}
}

// TestCheckpointOfAKilledNode kills a node with SIGKILL after its program has saved a
// checkpoint. The next attempt goes on from there, and its success drops the checkpoint.
func TestCheckpointOfAKilledNode(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.install("p", saves(`while [ ! -e `+gate+` ]; do sleep 0.01; done; cat checkpoint/n`))
	instance := jobs.NewID()
	cmd := r.startChild(child{Dir: r.dir, Addr: r.bean.Addr, Instance: instance})
	id := r.submit(job("p"))
	r.awaitKept(id, 1)
	r.must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	first := r.kept(id)[0]
	if !r.has(checkpointKey(first)) || first.Size == 0 || first.Attempt != 1 {
		t.Fatalf("%+v is not in the store", first)
	}
	r.recover(instance)
	r.must(os.WriteFile(gate, nil, 0o600))
	r.start()
	r.await(id, jobs.Succeeded)
	if got := string(r.result(id).Result); got != "2" {
		t.Errorf("the result is %s", got)
	}
	r.wantLog(id, 2, "the program goes on from checkpoint 1, which attempt 1 has saved")
	r.wantLog(id, 2, "began with 1 restored=1 deep n")
	r.until("the checkpoints are dropped", func() bool { return len(r.kept(id)) == 0 })
}

// TestSavedAtShutdown stops a node whose program saves on SIGTERM and ends with exit code 85.
func TestSavedAtShutdown(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.ShutdownGrace = -1 })
	r.install("p", `echo "began with $(cat checkpoint/n 2>/dev/null)" >&2; [ -e checkpoint/n ] && { cat checkpoint/n; exit 0; }
		trap 'echo 41 >checkpoint/n; exit 85' TERM; echo '{"message":"running"}' >&3; while :; do sleep 0.01; done`)
	n := r.start()
	id := r.submit(job("p"))
	r.awaitMessage(id)
	n.stop()
	n.wait()
	record := r.get(id)
	if record.State != jobs.Queued || record.Spent != 0 || record.Interruptions != 1 {
		t.Errorf("job is %s, %d spent, %d interruptions", record.State, record.Spent, record.Interruptions)
	}
	if got := numbers(r.kept(id)); !slices.Equal(got, []int{1}) {
		t.Fatalf("kept are %v", got)
	}
	r.start()
	r.await(id, jobs.Succeeded)
	if got := string(r.result(id).Result); got != "41" {
		t.Errorf("the result is %s", got)
	}
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeInterrupted, jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
		t.Error(diff)
	}
}

// TestRunAgain has a program end with exit code 85 by itself: at no cost as long as it
// comes further, and two checkpoints are kept.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Attempts = 1 })
	r.install("p", saves(`[ $new -lt 4 ] && exit 85; exit 65`))
	r.start()
	id := r.submit(job("p"))
	record := r.await(id, jobs.Failed)
	want := []jobs.Outcome{jobs.OutcomeInterrupted, jobs.OutcomeInterrupted, jobs.OutcomeInterrupted, jobs.OutcomeFailed}
	if diff := cmp.Diff(want, r.outcomes(id)); diff != "" || record.Spent != 0 {
		t.Errorf("%d spent; %s", record.Spent, diff)
	}
	if got := numbers(r.kept(id)); !slices.Equal(got, []int{4, 3}) {
		t.Errorf("kept are %v", got)
	}
	dropped, err := r.ledger.Checkpoints.Dropped(context.Background(), checkpoints.Key{})
	r.must(err)
	if got := numbers(dropped); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("dropped are %v", got)
	}
	// A retry goes on from the newest one.
	r.act(ledger.VerbRetry, id)
	r.put(jobs.Job{ID: id, Program: "p"})
	r.until("it has failed again", func() bool { return r.get(id).Attempt == 5 && r.get(id).State == jobs.Failed })
	r.wantLog(id, 5, "began with 4 restored=1")
	// A reset starts from the beginning.
	r.act(ledger.VerbReset, id)
	r.put(jobs.Job{ID: id, Program: "p"})
	r.until("it has begun again", func() bool { return r.get(id).Attempt >= 7 })
	r.wantLog(id, 6, "began with  restored= \n")
	r.await(id, jobs.Failed)
}

// TestRunAgainForNothing has a program end with exit code 85 that has saved nothing new.
func TestRunAgainForNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script, want string
		outcomes     []jobs.Outcome
	}{
		"the same":  {`echo 1 >checkpoint/n; exit 85`, "it asked to be run again (exit code 85), but its checkpoint is the one with which it began", []jobs.Outcome{jobs.OutcomeInterrupted, jobs.OutcomeError, jobs.OutcomeError}},
		"nothing":   {`exit 85`, "it asked to be run again (exit code 85), but the folder checkpoint is empty", []jobs.Outcome{jobs.OutcomeError, jobs.OutcomeError}},
		"with link": {`ln -s /etc/passwd checkpoint/link; exit 85`, `it asked to be run again (exit code 85), but checkpoint/"link" is a symbolic link`, []jobs.Outcome{jobs.OutcomeError, jobs.OutcomeError}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Attempts = 2 })
			r.install("p", c.script)
			r.start()
			id := r.submit(job("p"))
			record := r.await(id, jobs.Failed)
			if record.Error.Class != jobs.OutcomeError || !strings.HasPrefix(record.Error.Message, c.want) {
				t.Errorf("%+v", record.Error)
			}
			if diff := cmp.Diff(c.outcomes, r.outcomes(id)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBrokenCheckpoint damages checkpoints. The one before is restored, or none, with an
// event.
func TestBrokenCheckpoint(t *testing.T) {
	t.Parallel()
	overwrite := func(r *fixture, c checkpoints.Checkpoint, change func([]byte) []byte) {
		data := r.object(checkpointKey(c))
		r.must(r.store.Replace(context.Background(), checkpointKey(c), change(data)))
	}
	flip := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	for name, c := range map[string]struct {
		damage func(r *fixture, newest, before checkpoints.Checkpoint)
		began  string
		events []string
	}{
		"newest flipped": {
			func(r *fixture, newest, _ checkpoints.Checkpoint) { overwrite(r, newest, flip) }, "began with 1 restored=1",
			[]string{"checkpoint 2 of attempt 2 cannot be used: its SHA-256 is not the one that was recorded; the one before is tried"},
		},
		"newest cut": {
			func(r *fixture, newest, _ checkpoints.Checkpoint) {
				overwrite(r, newest, func(data []byte) []byte { return data[1:] })
			}, "began with 1 restored=1",
			[]string{"checkpoint 2 of attempt 2 cannot be used: it has"},
		},
		"both": {
			func(r *fixture, newest, before checkpoints.Checkpoint) {
				overwrite(r, before, flip)
				r.must(r.store.Delete(context.Background(), checkpointKey(newest)))
			}, "began with  restored= ",
			[]string{
				"checkpoint 1 of attempt 1 cannot be used: its SHA-256 is not the one that was recorded; the program starts from the beginning",
				"checkpoint 2 of attempt 2 cannot be used: it is not in the store; the one before is tried",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t)
			r.install("p", saves(`[ $RUNNERBEAN_ATTEMPT = 1 ] && exit 85; exit 65`))
			r.start()
			id := r.submit(job("p"))
			r.await(id, jobs.Failed)
			list := r.kept(id)
			if !slices.Equal(numbers(list), []int{2, 1}) {
				t.Fatalf("kept are %v", numbers(list))
			}
			c.damage(r, list[0], list[1])
			r.act(ledger.VerbRetry, id)
			r.put(jobs.Job{ID: id, Program: "p"})
			r.until("it has run again", func() bool { return r.get(id).Attempt == 3 && r.get(id).State == jobs.Failed })
			r.wantLog(id, 3, c.began)
			events, err := r.ledger.Events.Newest(context.Background(), id, 100)
			r.must(err)
			var said []string
			for _, e := range events {
				if e.Kind == eventlog.KindCheckpoint {
					said = append(said, e.Message)
				}
			}
			for i, kept := range r.kept(id)[1:] { // the first is that of the third attempt
				if broken := kept.Broken != ""; broken || name == "both" || kept.Restored != 3 {
					t.Errorf("%d: %+v", i, kept)
				}
			}
			if !slices.EqualFunc(said, c.events, strings.HasPrefix) {
				t.Errorf("events %q, want %q", said, c.events)
			}
		})
	}
}

// TestCheckpointNotKept has programs save what cannot be kept. The log says why, the program
// goes on, and the checkpoint before stays.
func TestCheckpointNotKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ make, want string }{
		"link":      {`ln -s n checkpoint/link`, `runnerbean: a checkpoint is not kept: checkpoint/"link" is a symbolic link`},
		"too large": {`truncate -s 600M checkpoint/a; truncate -s 600M checkpoint/b`, "runnerbean: a checkpoint is not kept: its files are larger than 1.0 GiB together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.MaxScratch = 1 << 30 })
			gate := filepath.Join(r.dir, "gate")
			r.install("p", saves(`while [ ! -e `+gate+` ]; do sleep 0.01; done; `+c.make+`; echo '{"checkpoint":true}' >&3; exit 65`))
			r.start()
			id := r.submit(job("p"))
			r.awaitKept(id, 1)
			r.must(os.WriteFile(gate, nil, 0o600))
			r.await(id, jobs.Failed)
			r.wantLog(id, 1, c.want)
			r.awaitKept(id, 1)
		})
	}
}

// TestOldAttemptKeepsNoCheckpoint runs an attempt that the ledger takes for lost. What it
// saves then is not kept, and no object of it stays.
func TestOldAttemptKeepsNoCheckpoint(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.holdsEvery = time.Hour })
	gate, said := filepath.Join(r.dir, "gate."), filepath.Join(r.dir, "said.")
	r.install("p", `N=$RUNNERBEAN_ATTEMPT; echo '{"message":"running"}' >&3; while [ ! -e `+gate+`$N ]; do sleep 0.01; done
		echo of $N >checkpoint/n; echo '{"checkpoint":true}' >&3; touch `+said+`$N; while [ ! -e `+gate+`end ]; do sleep 0.01; done; exit 65`)
	n := r.start()
	j := job("p")
	r.submit(j)
	r.awaitMessage(j.ID)
	r.recover(r.cfg.Instance)
	r.put(j)
	r.until("there are two attempts", func() bool { return len(n.running.list()) == 2 })
	r.must(os.WriteFile(gate+"1", nil, 0o600))
	r.until("the old one has saved", func() bool { _, err := os.Stat(said + "1"); return err == nil })
	r.must(os.WriteFile(gate+"2", nil, 0o600))
	r.awaitKept(j.ID, 1)
	r.must(os.WriteFile(gate+"end", nil, 0o600))
	r.await(j.ID, jobs.Failed)
	r.until("both have ended", n.idle)
	if list := r.kept(j.ID); len(list) != 1 || list[0].Attempt != 2 {
		t.Errorf("kept are %+v", list)
	}
	objects, err := filepath.Glob(filepath.Join(r.dir, "store", "checkpoints", "*", "*"))
	r.must(err)
	if len(objects) != 1 {
		t.Errorf("the store has %v", objects)
	}
}
