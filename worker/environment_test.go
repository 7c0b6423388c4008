package worker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestEnvironment shows all that a program sees.
func TestEnvironment(t *testing.T) {
	t.Setenv("WORKER_TEST_PASSED", "yes")
	t.Setenv("WORKER_TEST_HIDDEN", "no")
	r := newRig(t)
	r.installFolder("env", `printf '{"pwd":"%s","files":"%s","stdin":%s,"env":"%s"}' "$PWD" "$(echo *)" "$(cat)" "$(env | sort | tr '\n' ';')"`,
		`{"environment":["WORKER_TEST_PASSED","WORKER_TEST_ABSENT"]}`)
	r.start()
	j := job("env")
	j.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	id := r.submit(j)
	r.await(id, jobs.Succeeded)
	var got struct {
		PWD, Files, Env string
		Stdin           map[string]int
	}
	r.must(json.Unmarshal(r.result(id).Result, &got))
	if got.Files != "checkpoint inputs out tmp" || got.Stdin["n"] != 1 {
		t.Errorf("files are %q, stdin is %v", got.Files, got.Stdin)
	}
	seen := map[string]string{}
	for _, entry := range strings.Split(strings.Trim(got.Env, ";"), ";") {
		name, value, _ := strings.Cut(entry, "=")
		seen[name] = value
	}
	for _, shell := range []string{"_", "PWD", "OLDPWD", "SHLVL", "RUNNERBEAN_MARK"} {
		delete(seen, shell)
	}
	want := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": got.PWD, "TMPDIR": got.PWD + "/tmp",
		"RUNNERBEAN_JOB_ID": id, "RUNNERBEAN_ATTEMPT": "1", "RUNNERBEAN_PROGRAM": "env",
		"RUNNERBEAN_RESULT_URL": j.Result.URL, "RUNNERBEAN_EVENTS": "/dev/fd/3",
		"RUNNERBEAN_SCRATCH": r.cfg.Scratch,
		"WORKER_TEST_PASSED": "yes",
	}
	// The program has a span of its own in the trace of its job.
	told := strings.Split(seen["TRACEPARENT"], "-")
	if len(told) != 4 || told[1] != j.Traceparent[3:35] || told[2] == j.Traceparent[36:52] || told[3] != "01" {
		t.Errorf("TRACEPARENT is %q", seen["TRACEPARENT"])
	}
	delete(seen, "TRACEPARENT")
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}
