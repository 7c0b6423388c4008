package worker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// hostile has programs that do what they must not, by name.
var hostile = map[string]struct {
	script, manifest string
	class            jobs.Outcome // empty for a success
	message          string
}{
	"daemon":      {script: `setsid sh -c 'exec sleep 1000' </dev/null >/dev/null 2>&1 3>&- & echo 1`},
	"holds-pipes": {script: `setsid sh -c 'trap "" TERM; sleep 1000; sleep 1000' & echo 1`},
	"twice":       {script: `(setsid sh -c 'sleep 1000 & exec sleep 1000' &) & sleep 0.1; echo 1`},
	"deaf":        {`trap '' TERM HUP INT; while :; do sleep 0.02; done`, `{"timeout":"300ms"}`, jobs.OutcomeTimeout, "longer than 300ms"},
	"deaf-child":  {`trap '' TERM; setsid sh -c 'while :; do sleep 0.02; done' & wait; wait`, `{"timeout":"300ms"}`, jobs.OutcomeTimeout, "longer than 300ms"},
	"stopped":     {`kill -STOP $$`, `{"timeout":"300ms"}`, jobs.OutcomeTimeout, "longer than 300ms"},
	"silent":      {`exec sleep 1000`, `{"stall":"400ms"}`, jobs.OutcomeStalled, "for 400ms there was no output"},
	"stdout":      {`exec yes`, ``, jobs.OutcomeError, "more than 1.0 MiB to stdout"},
	"stderr":      {`yes >&2 & exec yes >&2`, `{"timeout":"300ms"}`, jobs.OutcomeTimeout, "longer"},
	"events":      {`yes '{"message":"x","counters":{"n":1}}' >&3 & exec yes nonsense >&3`, `{"timeout":"300ms"}`, jobs.OutcomeTimeout, "longer"},
	"one-line":    {`exec tr '\0' x </dev/zero >&3`, `{"timeout":"300ms"}`, jobs.OutcomeTimeout, "longer"},
	"wrong":       {`echo no >&2; exit 1`, ``, jobs.OutcomeError, "exit code 1: no"},
	"unknown":     {`exit 255`, ``, jobs.OutcomeError, "exit code 255"},
	"bad-input":   {`echo no >&2; exit 65`, ``, jobs.OutcomeFailed, "no"},
	"busy":        {`exit 75`, ``, jobs.OutcomeError, "run again later"},
	"crash":       {`kill -SEGV $$`, ``, jobs.OutcomeKilled, "signal 11"},
	"suicide":     {`kill -9 0`, ``, jobs.OutcomeKilled, "signal 9"},
	// The limit comes a moment after the start.
	"large-file": {`while [ "$(ulimit -f)" = unlimited ]; do :; done; exec head -c 20000000 /dev/zero >x`, ``, jobs.OutcomeKilled, "at most 8.0 MiB"},
	"many-files": {`for i in 1 2 3 4 5 6; do head -c 2000000 /dev/zero >tmp/$i; done; chmod 0 tmp; exec sleep 1000`, ``, jobs.OutcomeKilled, "take more than 8.0 MiB"},
	"moved-away": {`mv "$PWD" ../elsewhere; for i in 1 2 3 4 5 6; do head -c 2000000 /dev/zero >$i; done; exec sleep 1000`, ``, jobs.OutcomeKilled, "take more than 8.0 MiB"},
	"beside":     {script: `mkdir ../beside; echo x >../beside/x; echo 1`},
	"deep":       {`for i in $(seq 200); do mkdir d; cd d; done; exec sleep 1000`, ``, jobs.OutcomeKilled, "nested more than 128 deep"},
	"locked-up":  {script: `mkdir -p a/b; touch a/b/c; ln -s / a/root; chmod 0 a/b a out tmp .; echo 1`},
	"no-folders": {script: `rmdir *; ln -s /etc inputs; echo 1`, class: jobs.OutcomeError, message: "folder out cannot be read"},
	"artifacts":  {script: `cd out; seq 1 1100 | xargs touch; echo 1`, class: jobs.OutcomeError, message: "more than 1000 files"},
}

// TestHostile runs all hostile programs at the same time. Each ends in its own class
// and leaves no process and no file.
func TestHostile(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) {
		c.Slots, c.Attempts, c.MaxStdout, c.MaxScratch, c.Grace = 4, 1, 1<<20, 8<<20, 100*time.Millisecond
	})
	for name, c := range hostile {
		manifest := c.manifest
		if manifest == "" {
			manifest = "{}"
		}
		r.installFolder(name, c.script, manifest)
	}
	n := r.start()
	ids := map[string]string{}
	for name := range hostile {
		ids[name] = r.submit(job(name))
	}
	for name, c := range hostile {
		want := jobs.Failed
		if c.class == "" {
			want = jobs.Succeeded
		}
		record := r.await(ids[name], want)
		if e := record.Error; e != nil && (e.Class != c.class || !strings.Contains(e.Message, c.message)) {
			t.Errorf("%s: %s: %s, want %s: %s", name, e.Class, e.Message, c.class, c.message)
		}
	}
	r.until("no file is left", func() bool { return scratchIsEmpty(r.cfg.Scratch) })
	left, err := process.KillByEnvironment(t.Context(), scratchEntry(r.cfg.Scratch))
	if left != 0 || err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%d processes are left: %v", left, err)
	}
	n.stop()
	n.wait()
}

// scratchIsEmpty reports whether there are only the empty folders of the next attempts.
func scratchIsEmpty(root string) bool {
	entries, _ := filepath.Glob(filepath.Join(root, "lane-*", "*"))
	for _, dir := range entries {
		list, err := os.ReadDir(dir)
		if err != nil || len(list) != 4 {
			return false
		}
		inner, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		if len(inner) > 0 {
			return false
		}
	}
	return true
}

// TestMemory runs a program that takes too much memory. With a cgroup the message says
// so. Without one the program gets an error of its own.
func TestMemory(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Attempts, c.MaxMemory = 1, 64<<20 })
	r.install("greedy", `exec tail /dev/zero`)
	r.start()
	e := r.await(r.submit(job("greedy")), jobs.Failed).Error
	if cgroup.Probe().Memory {
		if e.Class != jobs.OutcomeKilled || !strings.Contains(e.Message, "more memory than the 64MiB") {
			t.Errorf("error is %+v", e)
		}
	} else if e.Class != jobs.OutcomeError || !strings.Contains(e.Message, "memory") {
		t.Errorf("error is %+v", e)
	}
}
