package worker

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// limitsWith returns the limits on a node of a program with a program.json.
func limitsWith(t *testing.T, cfg Config, document string) limits {
	t.Helper()
	var m program.Manifest
	if err := json.Unmarshal([]byte(document), &m); err != nil {
		t.Fatal(err)
	}
	return limitsOf(&cfg, &jobs.Job{}, &m)
}

// TestLimits checks that a program may lower the limits of the node, and change the
// stall limit.
func TestLimits(t *testing.T) {
	t.Parallel()
	node := Config{Stall: time.Minute, MaxMemory: 2 << 30, MaxScratch: 3 << 30}
	for document, c := range map[string]struct {
		cfg          Config
		stall        time.Duration
		memory, room int64
	}{
		`{}`:                 {node, time.Minute, 2 << 30, 3 << 30},
		`{"stall":"1h"}`:     {node, time.Hour, 2 << 30, 3 << 30},
		`{"stall":"0s"}`:     {node, 0, 2 << 30, 3 << 30},
		`{"memory":"1GiB"}`:  {node, time.Minute, 1 << 30, 3 << 30},
		`{"memory":"9GiB"}`:  {node, time.Minute, 2 << 30, 3 << 30},
		`{"scratch":"1GiB"}`: {node, time.Minute, 2 << 30, 1 << 30},
		`{"scratch":"9GiB"}`: {node, time.Minute, 2 << 30, 3 << 30},
		`{ }`:                {Config{}, 0, 0, 0},
		`{"memory":1048576,"scratch":"1MiB","stall":"1s"}`: {Config{}, time.Second, 1 << 20, 1 << 20},
	} {
		l := limitsWith(t, c.cfg, document)
		if l.stall != c.stall || l.memory != c.memory || l.scratch != c.room {
			t.Errorf("%s: stall %s, memory %d, scratch %d", document, l.stall, l.memory, l.scratch)
		}
	}
}

// TestVerdict maps each way in which a program may end to a class and a message.
func TestVerdict(t *testing.T) {
	t.Parallel()
	cfg := Config{Stall: 15 * time.Minute, Timeout: time.Hour, MaxScratch: 10 << 30, MaxStdout: 1 << 20}
	killed := func(s syscall.Signal, e process.Exit) process.Exit {
		e.Code, e.Signal = -1, s
		return e
	}
	for name, c := range map[string]struct {
		exit     process.Exit
		manifest string
		outcome  jobs.Outcome
		message  string
	}{
		"good":                {process.Exit{}, `{}`, "", ""},
		"error":               {process.Exit{Code: 1}, `{}`, jobs.OutcomeError, "exit code 1"},
		"failed":              {process.Exit{Code: 65}, `{}`, jobs.OutcomeFailed, "it ended with exit code 65 and said nothing"},
		"later":               {process.Exit{Code: 75}, `{}`, jobs.OutcomeError, "it asked to be run again later (exit code 75)"},
		"stalled":             {killed(15, process.Exit{Stalled: true}), `{}`, jobs.OutcomeStalled, "it stalled: for 15m0s there was no output, no event and no CPU time"},
		"stalled, well ended": {process.Exit{Stalled: true}, `{"stall":"1m"}`, jobs.OutcomeStalled, "it stalled: for 1m0s there was no output, no event and no CPU time"},
		"timeout":             {killed(9, process.Exit{TimedOut: true}), `{}`, jobs.OutcomeTimeout, "it ran longer than 1h0m0s"},
		"flood":               {killed(15, process.Exit{StdoutTooBig: true}), `{}`, jobs.OutcomeError, "it wrote more than 1.0 MiB to stdout (RUNNERBEAN_MAX_RESULT); leave what is larger as files in out"},
		"memory":              {killed(9, process.Exit{OutOfMemory: true}), `{"memory":"512MiB"}`, jobs.OutcomeKilled, "it needed more memory than the 512 MiB that it may have"},
		"memory of a child":   {process.Exit{Code: 1, OutOfMemory: true}, `{"memory":"512MiB"}`, jobs.OutcomeKilled, "it needed more memory than the 512 MiB that it may have"},
		"memory, got over":    {process.Exit{OutOfMemory: true}, `{"memory":"512MiB"}`, "", ""},
		"memory of all":       {killed(9, process.Exit{OutOfMemory: true}), `{}`, jobs.OutcomeKilled, "it was killed because this machine ran out of memory"},
		"file size":           {killed(syscall.SIGXFSZ, process.Exit{}), `{"scratch":"2GiB"}`, jobs.OutcomeKilled, "it was killed by signal 25 (file size limit exceeded); a file may have at most 2.0 GiB here"},
		"signal":              {killed(11, process.Exit{}), `{}`, jobs.OutcomeKilled, "it was killed by signal 11 (segmentation fault)"},
		"kill":                {killed(9, process.Exit{}), `{}`, jobs.OutcomeKilled, "it was killed by signal 9 (killed); if nobody did that, it may have been for its memory"},
	} {
		l := limitsWith(t, cfg, c.manifest)
		got := &fault.Fault{}
		if err := verdict(&c.exit, &l, ""); err != nil {
			got = err.(*fault.Fault)
		}
		if diff := cmp.Diff([]string{string(c.outcome), c.message}, []string{string(got.Outcome), got.Message}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if again := !slices.Contains([]string{"flood", "file size"}, name); got.Final == again {
			t.Errorf("%s: final is %t", name, got.Final)
		}
	}
}

// TestKilledHere checks that only a directory that is too large makes the fault final.
func TestKilledHere(t *testing.T) {
	t.Parallel()
	for cause, final := range map[error]bool{errAsked: false, &workdir.Excess{}: true} {
		stop := newStopper(t.Context())
		stop.kill(cause)
		if f := killedHere(stop.killed).(*fault.Fault); f.Outcome != jobs.OutcomeKilled || f.Final != final || f.Message != cause.Error() {
			t.Errorf("%v: %+v", cause, f)
		}
		stop.release()
	}
}

// TestFilesFitIntoTheRoom fails a job whose files are larger than its working directory
// may be, before they are on the disk.
func TestFilesFitIntoTheRoom(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.MaxScratch = 1 << 20 })
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 600<<10)) })
	r.install("p", "echo 1")
	r.start()
	j := job("p")
	j.Files = []jobs.File{{Name: "a", URL: url}, {Name: "b", URL: url}}
	e := r.await(r.submit(j), jobs.Failed).Error
	if e.Class != jobs.OutcomeInput || e.Pointer != "/files/1/url" || !strings.Contains(e.Message, "larger than 424 KiB") {
		t.Errorf("error is %+v", e)
	}
}
