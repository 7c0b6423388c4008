package worker

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// streamLoop is a stream program of shell lines: work sees the line of a job in $job and
// its id in $id.
func streamLoop(work string) string {
	return `n=0
while read -r job; do
id=${job#*'"id":"'} id=${id%%'"'*} n=$((n+1))
` + work + `
done`
}

const countingWork = `echo "job $n of $$" >&2
printf '{"id":"%s","progress":0.5,"message":"n %d"}\n' "$id" $n >&3
printf '{"id":"%s","result":{"pid":%d,"n":%d}}\n' "$id" $$ $n`

type counted struct{ PID, N int }

func (r *fixture) counted(id string) (c counted) {
	r.t.Helper()
	r.must(json.Unmarshal(r.result(id).Result, &c))
	return c
}

// TestStreamSharesProcess runs jobs one after another in the same process.
func TestStreamSharesProcess(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.installFolder("warm", streamLoop(countingWork), `{"mode":"stream"}`)
	n := r.start()
	var first counted
	for i := range 5 {
		id := r.submit(job("warm"))
		r.await(id, jobs.Succeeded)
		got := r.counted(id)
		if i == 0 {
			first = got
		}
		if got.PID != first.PID || got.N != i+1 {
			t.Errorf("job %d ran as %+v, the first as %+v", i+1, got, first)
		}
	}
	r.until("the process is listed", func() bool {
		warm := n.Warm()
		return len(warm) == 1 && warm[0].PID == first.PID && warm[0].Jobs == 5 && warm[0].Job == "" && warm[0].Program == "warm"
	})
	n.stop()
	n.wait()
	if warm := n.Warm(); len(warm) != 0 {
		t.Errorf("left: %+v", warm)
	}
	if err := syscall.Kill(first.PID, 0); err == nil {
		t.Error("the process is still there")
	}
}

// TestStreamOutcomes runs jobs that end in all the ways, and a good one after each.
func TestStreamOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		work, message string
		state         jobs.State
		outcomes      []jobs.Outcome
		more          string // members of program.json
	}{
		"error":     {work: `{"id":"%s","error":{"message":"no data"}}`, message: "no data", state: jobs.Failed, outcomes: []jobs.Outcome{jobs.OutcomeError, jobs.OutcomeError}},
		"final":     {work: `{"id":"%s","error":{"message":"bad data","final":true}}`, message: "bad data", state: jobs.Failed, outcomes: []jobs.Outcome{jobs.OutcomeFailed}},
		"other id":  {work: `{"id":"x%s","result":1}`, message: "it answered to another job", state: jobs.Failed, outcomes: []jobs.Outcome{jobs.OutcomeError, jobs.OutcomeError}},
		"no schema": {work: `{"id":"%s","result":"text"}`, message: "the result is not what program.json promises", state: jobs.Failed, outcomes: []jobs.Outcome{jobs.OutcomeError}, more: `,"result":{"type":"number"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Slots = 1 })
			work := "case $job in *good*) printf '{\"id\":\"%s\",\"result\":1}\\n' \"$id\";; *) printf '" + c.work + "\\n' \"$id\";; esac"
			r.installFolder("warm", streamLoop(work), `{"mode":"stream","attempts":2`+c.more+`}`)
			r.start()
			id := r.submit(job("warm"))
			record := r.await(id, c.state)
			if !strings.Contains(record.Error.Message, c.message) || !slices.Equal(r.outcomes(id), c.outcomes) {
				t.Errorf("%v, %v", record.Error, r.outcomes(id))
			}
			good := job("warm")
			good.Input.Data = json.RawMessage(`"good"`)
			r.await(r.submit(good), jobs.Succeeded)
		})
	}
}

// TestStreamCrash ends the process with a running job: that costs an attempt, exit code 65
// fails the job, and a fresh process takes the next.
func TestStreamCrash(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.installFolder("warm", streamLoop(`case $job in
*'"input":65'*) echo "cannot be" >&2; exit 65;;
*crash*) case $job in *'"attempt":1'*) printf '{"id":"%s","res' "$id"; kill -9 $$;; esac;;
esac
`+countingWork), `{"mode":"stream"}`)
	r.start()
	crash := job("warm")
	crash.Input.Data = json.RawMessage(`"crash"`)
	id := r.submit(crash)
	r.await(id, jobs.Succeeded)
	if got := r.outcomes(id); !slices.Equal(got, []jobs.Outcome{jobs.OutcomeKilled, jobs.OutcomeSucceeded}) || r.counted(id).N != 1 {
		t.Errorf("%v, %+v", got, r.counted(id))
	}
	final := job("warm")
	final.Input.Data = json.RawMessage(`65`)
	id = r.submit(final)
	if record := r.await(id, jobs.Failed); record.Error.Class != jobs.OutcomeFailed || record.Error.Message != "cannot be" {
		t.Errorf("%+v", record.Error)
	}
}

// TestStreamFiles checks that files in out are those of their job alone, and that a job
// finds its input files.
func TestStreamFiles(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "content") })
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.installFolder("warm", streamLoop(`out=${job#*'"out":"'} out=${out%%'"'*} in=${job#*'"inputs":"'} in=${in%%'"'*}
case $job in
*none*) ;;
*) echo "$n" > "$out/n"; cat "$in"/* >> "$out/n" 2>/dev/null;;
esac
`+countingWork), `{"mode":"stream"}`)
	r.start()
	none, plain, with := job("warm"), job("warm"), job("warm")
	none.Input.Data = json.RawMessage(`"none"`)
	with.Files = []jobs.File{{Name: "f", URL: url}}
	want := []string{"", "1\n", "", "3\n", "4\ncontent", ""}
	for i, j := range []jobs.Job{none, plain, none, plain, with, none} {
		if i == 0 { // the first numbers
			continue
		}
		j.ID = jobs.NewID()
		j.Result.URL = testBase + "/" + j.ID
		r.await(r.submit(j), jobs.Succeeded)
		result := r.result(j.ID)
		got := ""
		for _, a := range result.Artifacts {
			got += string(r.object(store.FileKey(j.ID, 1, a.Name)))
		}
		if got != want[i] || r.counted(j.ID).N != i {
			t.Errorf("job %d left %q, not %q, as %+v", i, got, want[i], r.counted(j.ID))
		}
	}
}

// TestStreamStops stops jobs from outside.
func TestStreamStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifest string
		stop     func(*fixture, *node, string)
		outcome  jobs.Outcome
	}{
		"timeout":   {`"timeout":"200ms"`, nil, jobs.OutcomeTimeout},
		"stall":     {`"stall":"200ms"`, nil, jobs.OutcomeStalled},
		"cancel":    {`"timeout":"1h"`, func(r *fixture, _ *node, id string) { r.act(ledger.VerbCancel, id) }, jobs.OutcomeCancelled},
		"terminate": {`"timeout":"1h"`, func(r *fixture, _ *node, id string) { r.act(ledger.VerbTerminate, id) }, jobs.OutcomeCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Slots = 1 })
			r.installFolder("warm", streamLoop(`case $job in *hang*) echo hangs >&2; sleep 600;; esac
`+countingWork), `{"mode":"stream","attempts":1,`+c.manifest+`}`)
			n := r.start()
			hang := job("warm")
			hang.Input.Data = json.RawMessage(`"hang"`)
			id := r.submit(hang)
			if c.stop != nil {
				r.until("the process is listed with its job", func() bool {
					list := n.Processes()
					return len(list) > 1 && list[0].Job == id && len(n.Warm()) == 1 && n.Warm()[0].Job == id
				})
				c.stop(r, n, id)
			}
			r.until("the job has ended", func() bool { return r.get(id).State.Final() })
			if got := r.outcomes(id); !slices.Equal(got, []jobs.Outcome{c.outcome}) {
				t.Errorf("outcomes are %v", got)
			}
			next := r.submit(job("warm"))
			r.await(next, jobs.Succeeded)
			if r.counted(next).N != 1 {
				t.Errorf("the process was used again: %+v", r.counted(next))
			}
		})
	}
}

// TestStreamShutdown shuts a node down while one process is idle and another has a job that
// does not end.
func TestStreamShutdown(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots, c.ShutdownGrace = 2, -1 })
	r.installFolder("warm", streamLoop(`case $job in *hang*) sleep 600;; esac
`+countingWork), `{"mode":"stream"}`)
	r.installFolder("other", streamLoop(countingWork), `{"mode":"stream"}`)
	n := r.start()
	hang := job("warm")
	hang.Input.Data = json.RawMessage(`"hang"`)
	id := r.submit(hang)
	r.await(r.submit(job("other")), jobs.Succeeded)
	r.until("both are listed", func() bool { return len(n.Warm()) == 2 && r.get(id).State == jobs.Running })
	pids := []int{n.Warm()[0].PID, n.Warm()[1].PID}
	n.stop()
	n.wait()
	if got := r.outcomes(id); !slices.Equal(got, []jobs.Outcome{jobs.OutcomeInterrupted}) {
		t.Errorf("outcomes are %v", got)
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}

// TestStreamQuarantine runs a job alone in a warm process after two losses.
func TestStreamQuarantine(t *testing.T) {
	t.Parallel()
	r := newFixture(t, impatient, func(c *Config) { c.Slots = 2 })
	r.installFolder("warm", streamLoop(countingWork), `{"mode":"stream"}`)
	n := r.start()
	r.await(r.submit(job("warm")), jobs.Succeeded)
	alone := r.lostTwice("warm")
	r.await(alone, jobs.Succeeded)
	if list := r.attempts(alone); !list[len(list)-1].Quarantined {
		t.Errorf("%+v", list)
	}
	r.until("it is over", func() bool { return n.Quarantine() == nil })
	r.await(r.submit(job("warm")), jobs.Succeeded)
}
