package worker

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

// sums returns what a program has counted so far, by counter.
func (r *fixture) sums(program string) map[string]float64 {
	r.t.Helper()
	now := time.Now()
	h, err := r.ledger.Counters.History(context.Background(), program, "", now.Add(-time.Hour), now.Add(time.Minute))
	r.must(err)
	sums := map[string]float64{}
	for _, l := range h.Lines {
		if l.Node != "n1" {
			r.t.Errorf("node %q has counted", l.Node)
		}
		for _, n := range l.N {
			sums[l.Name] += n
		}
	}
	return sums
}

// untilCounted waits until a program has counted so much.
func (r *fixture) untilCounted(program string, want map[string]float64) {
	r.t.Helper()
	deadline := time.After(testTimeout)
	for {
		got := r.sums(program)
		if cmp.Equal(want, got) {
			return
		}
		select {
		case <-deadline:
			r.t.Fatalf("%s has counted %v, want %v", program, got, want)
		case <-r.change.next():
		case <-time.After(100 * time.Millisecond): // counters are no change of a job
		}
	}
}

// TestCounters adds up what attempts count, also those that fail and that are killed, and has
// their chunks.
func TestCounters(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.cfg.Counters = r.ledger.Counters
	gate := filepath.Join(r.dir, "gate")
	r.install("p", `
		echo '{"counters":{"records":10},"chunk":{"id":"a","of":2}}' >&3
		echo '{"counters":{"records":25,"records.bad":1}}' >&3
		[ $RUNNERBEAN_ATTEMPT = 1 ] && exit 1
		[ $RUNNERBEAN_ATTEMPT = 2 ] && kill -9 $$
		echo '{"counters":{"records":100},"chunk":{"id":"b","of":2}}' >&3
		while [ ! -e `+gate+` ]; do sleep 0.01; done
		echo 1`)
	r.start()
	id := r.submit(job("p"))
	r.untilCounted("p", map[string]float64{"records": 25 + 25 + 100, "records.bad": 3})
	r.until("it works on the chunk", func() bool {
		c := r.get(id).Live.Chunk
		return c != nil && *c == jobs.Chunk{ID: "b", Of: "2"}
	})
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
	list, err := r.ledger.Chunks.List(t.Context(), id, 10)
	r.must(err)
	var got []string
	for _, c := range list {
		got = append(got, string(rune('0'+c.Attempt))+c.ID)
	}
	if diff := cmp.Diff([]string{"3b", "3a", "2a", "1a"}, got); diff != "" {
		t.Error(diff)
	}
	of, err := r.ledger.Counters.OfAttempts(t.Context(), id)
	r.must(err)
	want := map[int]map[string]float64{1: {"records": 25, "records.bad": 1}, 2: {"records": 25, "records.bad": 1}, 3: {"records": 100, "records.bad": 1}}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Error(diff)
	}
}

// TestCountersOfStreamPrograms: each job counts from 0, and events without its id do not count.
func TestCountersOfStreamPrograms(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.cfg.Counters = r.ledger.Counters
	r.installFolder("warm", streamLoop(`
		echo '{"counters":{"records":1000}}' >&3
		echo '{"id":"'$id'","counters":{"records":3},"chunk":{"id":7}}' >&3
		echo '{"id":"'$id'","counters":{"records":7}}' >&3
		`+countingWork), `{"mode":"stream"}`)
	r.start()
	for range 3 {
		id := r.submit(job("warm"))
		r.await(id, jobs.Succeeded)
		list, err := r.ledger.Chunks.List(t.Context(), id, 10)
		r.must(err)
		if len(list) != 1 || list[0].ID != "7" {
			t.Errorf("chunks %+v", list)
		}
	}
	r.untilCounted("warm", map[string]float64{"records": 21})
}

// TestCountersAfterACheckpoint: a program that goes on where it was does not count again what it
// had counted.
func TestCountersAfterACheckpoint(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.cfg.Counters = r.ledger.Counters
	r.install("p", `
		n=0; [ -e checkpoint/n ] && n=$(cat checkpoint/n)
		echo '{"counters":{"records":'$n'}}' >&3
		n=$((n+100)); echo $n > tmp/n; mv tmp/n checkpoint/n
		echo '{"counters":{"records":'$n'}}' >&3
		[ $n = 300 ] || exit 85
		echo $n`)
	r.start()
	r.await(r.submit(job("p")), jobs.Succeeded)
	r.untilCounted("p", map[string]float64{"records": 300})
}

// TestCountersAtTheEnd: a node that ends hands over what it has counted.
func TestCountersAtTheEnd(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.cfg.Counters = r.ledger.Counters
	r.install("p", `echo '{"counters":{"records":5}}' >&3; echo 1`)
	n := r.start()
	r.await(r.submit(job("p")), jobs.Succeeded)
	n.stop()
	n.wait()
	if diff := cmp.Diff(map[string]float64{"records": 5}, r.sums("p")); diff != "" {
		t.Error(diff)
	}
}
