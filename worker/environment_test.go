package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/program"
)

// TestEnvironment checks everything that a program sees.
func TestEnvironment(t *testing.T) {
	t.Setenv("WORKER_TEST_PASSED", "yes")
	t.Setenv("WORKER_TEST_HIDDEN", "no")
	r := newFixture(t)
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
	for _, shell := range []string{"_", "PWD", "OLDPWD", "SHLVL"} {
		delete(seen, shell)
	}
	for _, name := range program.ThreadVars {
		if seen[name] != fmt.Sprint(max(1, runtime.NumCPU()/2)) {
			t.Errorf("%s is %q for one of 2 slots", name, seen[name])
		}
		delete(seen, name)
	}
	want := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": got.PWD, "TMPDIR": got.PWD + "/tmp",
		"RUNNERBEAN_JOB_ID": id, "RUNNERBEAN_ATTEMPT": "1", "RUNNERBEAN_PROGRAM": "env",
		"RUNNERBEAN_RESULT_URL": j.Result.URL, "RUNNERBEAN_EVENTS": "/dev/fd/3",
		"RUNNERBEAN_SCRATCH": r.cfg.Scratch,
		"WORKER_TEST_PASSED": "yes",
	}
	// The program has a span of its own in the trace of its job.
	parts := strings.Split(seen["TRACEPARENT"], "-")
	if len(parts) != 4 || parts[1] != j.Traceparent[3:35] || parts[2] == j.Traceparent[36:52] || parts[3] != "01" {
		t.Errorf("TRACEPARENT is %q", seen["TRACEPARENT"])
	}
	delete(seen, "TRACEPARENT")
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

// TestEnvironmentOnce checks that a program gets one entry for each name, whatever its
// program.json names. The operator's entry comes first.
func TestEnvironmentOnce(t *testing.T) {
	t.Setenv("PATH", "/operator:/usr/bin:/bin")
	t.Setenv("HOME", "/operator")
	t.Setenv("LANG", "")
	t.Setenv("TRACEPARENT", "the operator's")
	t.Setenv("OMP_NUM_THREADS", "7")
	for _, name := range []string{"TMPDIR", "GOMAXPROCS", "MKL_NUM_THREADS"} {
		t.Setenv(name, "") // so that it is restored
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	r := newFixture(t)
	// The shell would show one of two entries. The kernel has both.
	r.installFolder("env", `tr '\0' '\n' </proc/$$/environ | sed 's/.*/"&"/' | paste -sd, | sed 's/.*/[&]/'`,
		`{"environment":["PATH","HOME","PATH","LANG","TMPDIR","TRACEPARENT","OMP_NUM_THREADS","GOMAXPROCS","MKL_NUM_THREADS"]}`)
	r.start()
	j := job("env")
	j.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	id := r.submit(j)
	r.await(id, jobs.Succeeded)
	var entries []string
	r.must(json.Unmarshal(r.result(id).Result, &entries))
	seen := map[string]string{}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := seen[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = value
	}
	for name, want := range map[string]string{
		"PATH": "/operator:/usr/bin:/bin", "HOME": "/operator", "LANG": "", "TRACEPARENT": "the operator's", "OMP_NUM_THREADS": "7",
	} {
		if got, there := seen[name]; got != want || !there {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.HasSuffix(seen["TMPDIR"], "/tmp") {
		t.Errorf("TMPDIR, which the node has not, is %q", seen["TMPDIR"])
	}
	for _, name := range []string{"GOMAXPROCS", "MKL_NUM_THREADS"} {
		if value, there := seen[name]; there {
			t.Errorf("%s is %q; program.json leaves it to the node, which has none", name, value)
		}
	}
	if !slices.Contains(entries, "OPENBLAS_NUM_THREADS="+fmt.Sprint(max(1, runtime.NumCPU()/2))) {
		t.Errorf("no share of the processors in %q", entries)
	}
}
