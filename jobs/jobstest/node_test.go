package jobstest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// upper is a program as a script, and count one in a folder, with a description.
var upper = jobstest.Program{Name: "upper", Run: "#!/bin/sh\ntr a-z A-Z\n"}

func countProgram(t *testing.T) jobstest.Program {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"run":          "#!/bin/sh\nwc -c | tr -d ' '\n",
		"program.json": `{"input":{"type":"array"}}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return jobstest.Program{Name: "count", Run: folder}
}

func TestStartRunsJobs(t *testing.T) {
	t.Parallel()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	node := jobstest.Start(t, upper, countProgram(t), jobstest.Program{Name: "same", Run: cat})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for program, want := range map[string]string{"upper": `succeeded ["A","B"]`, "same": `succeeded ["a","b"]`, "count": "succeeded 9"} {
		job := enqueue(t, node.Client, jobs.Job{Program: program, Input: jobs.Input{Data: []byte(`["a","b"]`)}})
		if !strings.HasPrefix(job.Result.URL, node.URL+"/") {
			t.Errorf("result at %s, want it below %s", job.Result.URL, node.URL)
		}
		res, err := node.Client.Wait(ctx, job.Result.URL)
		if got := string(res.State) + " " + string(res.Result); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", program, got, err, want)
		}
	}
	job := enqueue(t, node.Client, jobs.Job{Program: "count", Input: jobs.Data("no array")})
	res, err := node.Client.Wait(ctx, job.Result.URL)
	if err != nil || res.State != jobs.Failed {
		t.Errorf("an input against the schema: %s, %v", res.State, err)
	}
	if d, err := node.Client.Get(ctx, job.ID); err != nil || d.Status.State != jobs.Failed {
		t.Errorf("Get with the token of Config: %s, %v", d.Status.State, err)
	}
}

// outer is a test around Start that fails, and shows what it says.
type outer struct {
	recorder
	failed bool
	after  []func()
}

func (o *outer) Cleanup(f func())           { o.after = append(o.after, f) }
func (o *outer) Logf(f string, args ...any) { o.Errorf(f, args...) }
func (o *outer) Fatal(args ...any)          { o.Fatalf("%v", args...) }
func (o *outer) Failed() bool               { return o.failed }
func (o *outer) end() {
	for i := len(o.after) - 1; i >= 0; i-- {
		o.after[i]()
	}
}

func TestLogOfAFailedTest(t *testing.T) {
	t.Parallel()
	for _, failed := range []bool{true, false} {
		o := &outer{recorder: recorder{TB: t}}
		node := jobstest.Start(o, upper)
		o.failed = failed
		o.end()
		if shown := strings.Contains(o.said, "log of the node:") && strings.Contains(o.said, strings.TrimPrefix(node.URL, "http://")); shown != failed {
			t.Errorf("failed is %v, the log is shown: %v\n%s", failed, shown, o.said)
		}
		if err := node.Client.Ping(t.Context()); !errors.Is(err, jobs.ErrClosed) {
			t.Errorf("after its test the client says %v", err)
		}
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	empty := t.TempDir()
	for want, setting := range map[string][3]string{
		"apt-get install beanstalkd":  {empty, "", "#!/bin/sh\n"},
		"no/such/binary":              {"", "/no/such/binary", "#!/bin/sh\n"},
		"the node ended at its start": {"", "false", "#!/bin/sh\n"},
		"cannot start the program p":  {"", "", "#!/no/such/interpreter\n"},
		"cannot use the program p":    {"", "", t.TempDir()},
		"a script begins with #!":     {"", "true", "/no/such/program"},
	} {
		t.Run(want, func(t *testing.T) {
			if setting[0] != "" {
				t.Setenv("PATH", setting[0])
			}
			t.Setenv("RUNNERBEAN", setting[1])
			o := &outer{recorder: recorder{TB: t}}
			func() { defer o.recover(); jobstest.Start(o, jobstest.Program{Name: "p", Run: setting[2]}) }()
			o.end()
			if !strings.Contains(o.said, want) {
				t.Errorf("said %q", o.said)
			}
		})
	}
}
