package worker

import (
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestProgramFaults runs every kind of misbehaving program: each gives a clear
// message, and only those that may be luckier next time run again.
func TestProgramFaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, script string
		outcome      jobs.Outcome
		runs         int
		message      string
	}{
		{"nothing", "exit 0", jobs.OutcomeError, 2, "wrote nothing to stdout"},
		{"space", "echo; echo", jobs.OutcomeError, 2, "wrote nothing to stdout"},
		{"text", "echo hello", jobs.OutcomeError, 2, "line 1, column 1 (byte 0)"},
		{"cut", `printf '{"a":\n[1,'`, jobs.OutcomeError, 2, "ends in the middle of a value, at line 2"},
		{"two", `printf '{"a":1}\n{"a":2}\n'`, jobs.OutcomeError, 2, "the second begins at line 2, column 1 (byte 8)"},
		{"nan", `echo '{"a":NaN}'`, jobs.OutcomeError, 2, "line 1, column 6"},
		{"twice", `echo '{"a":1,"a":2}'`, jobs.OutcomeError, 2, "duplicate"},
		{"bytes", `printf '"\377"'`, jobs.OutcomeError, 2, "UTF-8"},
		{"deep", `head -c 2000 /dev/zero | tr '\0' '['`, jobs.OutcomeError, 2, "nested more than 1000 deep"},
		{"huge", `head -c 2000000 /dev/zero | tr '\0' '1'`, jobs.OutcomeError, 2, "more than 1048576 bytes to stdout"},
		{"one", "echo first >&2; echo 'no such meter' >&2; exit 1", jobs.OutcomeError, 2, "exit code 1: no such meter"},
		{"silent", "exit 3", jobs.OutcomeError, 2, "exit code 3"},
		{"failed", "echo 'the series is empty' >&2; exit 65", jobs.OutcomeFailed, 1, "the series is empty"},
		{"mute", "exit 65", jobs.OutcomeFailed, 1, "exit code 65"},
		{"later", "echo busy >&2; exit 75", jobs.OutcomeError, 2, "run again later (exit code 75): busy"},
		{"killed", "kill -9 $$", jobs.OutcomeKilled, 2, "signal 9"},
		{"slow", "exec sleep 100", jobs.OutcomeTimeout, 2, "longer than 200ms"},
		{"stubborn", "trap '' TERM; while :; do sleep 0.05; done", jobs.OutcomeTimeout, 2, "longer than 200ms"},
		{"nul", `printf 'a\000b\n' >&2; exit 1`, jobs.OutcomeError, 2, "exit code 1: ab"},
	}
	r := newRig(t, func(c *Config) { c.Slots, c.Attempts, c.MaxStdout, c.Grace = 4, 2, 1<<20, 100_000_000 })
	ids := make([]string, len(cases))
	for _, c := range cases {
		r.install(c.name, c.script)
	}
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
	r := newRig(t)
	r.install("leaky", "(trap '' TERM; sleep 100) & echo 1")
	r.start()
	id := r.submit(job("leaky"))
	r.await(id, jobs.Succeeded)
	if got := string(r.result(id).Result); got != "1" {
		t.Errorf("result is %s", got)
	}
}
