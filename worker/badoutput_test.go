package worker

import (
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

type programFault struct {
	name, script string
	outcome      jobs.Outcome
	runs         int
	message      string
}

// TestProgramFaults runs every kind of misbehaving program. Each gives a clear message.
// A program that would fail in the same way does not run again.
func TestProgramFaults(t *testing.T) {
	t.Parallel()
	cases := []programFault{
		{"nothing", "exit 0", jobs.OutcomeError, 1, "wrote nothing to stdout"},
		{"space", "echo; echo", jobs.OutcomeError, 1, "wrote nothing to stdout"},
		{"text", "echo hello", jobs.OutcomeError, 1, "at line 1, column 1 (byte 0), in the line 'hello'; write logs to standard error"},
		{"before", `echo 'Loading model…'; echo '{"a":1}'`, jobs.OutcomeError, 1, "it printed 'Loading model…' before the result; write logs to standard error"},
		{"after", `echo '{"a":1}'; echo done`, jobs.OutcomeError, 1, "it printed 'done' after the result; write logs to standard error"},
		{"cut", `printf '{"a":\n[1,'`, jobs.OutcomeError, 1, "ends in the middle of a value, at line 2"},
		{"two", `printf '{"a":1}\n{"a":2}\n'`, jobs.OutcomeError, 1, `'{"a":1}' and then '{"a":2}'; the second begins at line 2, column 1 (byte 8)`},
		{"nan", `echo '{"a":NaN}'`, jobs.OutcomeError, 1, "the result has NaN at /a, at line 1, column 6"},
		{"twice", `echo '{"a":1,"a":2}'`, jobs.OutcomeError, 1, "duplicate object member name at /a"},
		{"bytes", `printf '"\377"'`, jobs.OutcomeError, 1, "UTF-8"},
		{"deep", `head -c 2000 /dev/zero | tr '\0' '['`, jobs.OutcomeError, 1, "nested more than 1000 deep"},
		{"huge", `head -c 2000000 /dev/zero | tr '\0' '1'`, jobs.OutcomeError, 1, "more than 1.0 MiB to stdout"},
		{"many", `seq 1001 | (cd out && xargs touch); echo 1`, jobs.OutcomeError, 1, "more than 1000 files in out"},
		{"heavy", `head -c 3000000 /dev/zero >out/a; echo 1`, jobs.OutcomeError, 1, "larger than 2.0 MiB together"},
		{"no-folder", `rmdir out; echo >out; echo 1`, jobs.OutcomeError, 1, "the folder out cannot be read"},
		{"one", "echo first >&2; echo 'no such meter' >&2; exit 1", jobs.OutcomeError, 2, "exit code 1: no such meter"},
		{"node", `printf 'Error: no such meter\n    at f (a.js:1)\n\nNode.js v20.20.2\n' >&2; exit 1`, jobs.OutcomeError, 2, "exit code 1: Error: no such meter"},
		{"abort", `printf "terminate called after throwing an instance of 'E'\n  what():  no such meter\n" >&2; kill -ABRT $$`, jobs.OutcomeKilled, 2, "signal 6 (aborted): terminate called after throwing an instance of 'E': no such meter"},
		{"silent", "exit 3", jobs.OutcomeError, 2, "exit code 3"},
		{"failed", "echo 'the series is empty' >&2; exit 65", jobs.OutcomeFailed, 1, "the series is empty"},
		{"mute", "exit 65", jobs.OutcomeFailed, 1, "exit code 65"},
		{"later", "echo busy >&2; exit 75", jobs.OutcomeError, 2, "run again later (exit code 75): busy"},
		{"killed", "kill -9 $$", jobs.OutcomeKilled, 2, "signal 9"},
		{"slow", "exec sleep 100", jobs.OutcomeTimeout, 2, "longer than 200ms"},
		{"stubborn", "trap '' TERM; while :; do sleep 0.05; done", jobs.OutcomeTimeout, 2, "longer than 200ms"},
		{"nul", `printf 'a\000b\n' >&2; exit 1`, jobs.OutcomeError, 2, "exit code 1: ab"},
	}
	r := newFixture(t, func(c *Config) {
		c.Slots, c.Attempts, c.MaxStdout, c.Grace, c.MaxFiles = 4, 2, 1<<20, 100_000_000, 2<<20
	})
	for _, c := range cases {
		r.install(c.name, c.script)
	}
	r.installFolder("schema", `echo '{"mape":"x"}'`, `{"result":{"properties":{"mape":{"type":"number"}}}}`)
	cases = append(cases, programFault{"schema", "", jobs.OutcomeError, 1, "/mape: expected number"})
	ids := make([]string, len(cases))
	r.start()
	for i, c := range cases {
		j := job(c.name)
		if c.outcome == jobs.OutcomeTimeout {
			j.Timeout = jobs.Duration(200_000_000)
		}
		ids[i] = r.submit(j)
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			record := r.await(ids[i], jobs.Failed)
			outcomes := r.outcomes(ids[i])
			if len(outcomes) != c.runs || outcomes[len(outcomes)-1] != c.outcome {
				t.Errorf("outcomes are %v, want %d times %s", outcomes, c.runs, c.outcome)
			}
			if record.Error == nil || record.Error.Class != c.outcome || !strings.Contains(record.Error.Message, c.message) {
				t.Errorf("error is %+v, want a message with %q", record.Error, c.message)
			}
		})
		r.tubeEmpty(c.name)
	}
}

func TestChildThatHoldsStdout(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("leaky", "(trap '' TERM; sleep 100) & echo 1")
	r.start()
	id := r.submit(job("leaky"))
	r.await(id, jobs.Succeeded)
	if got := string(r.result(id).Result); got != "1" {
		t.Errorf("result is %s", got)
	}
}

// TestRetryAfterFinalFault retries a failed job after its program is repaired.
func TestRetryAfterFinalFault(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo Loading; echo 1")
	r.start()
	id := r.submit(job("p"))
	if record := r.await(id, jobs.Failed); record.Attempt != 1 || record.Spent != 1 {
		t.Errorf("attempt %d, %d spent, want one", record.Attempt, record.Spent)
	}
	r.install("p", "echo Loading >&2; echo 1")
	r.act(ledger.VerbRetry, id)
	r.put(jobs.Job{ID: id, Program: "p"})
	r.await(id, jobs.Succeeded)
}
