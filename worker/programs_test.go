package worker

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestNewProgram installs and replaces programs while a node runs.
func TestNewProgram(t *testing.T) {
	t.Parallel()
	changes := make(chan []nodes.Program, 100)
	r := newFixture(t, func(c *Config) { c.OnPrograms = func(list []nodes.Program) { changes <- list } })
	n := r.start()
	if list := n.Programs(); len(list) != 0 {
		t.Fatalf("programs are %v", list)
	}
	id := r.submit(job("late")) // waits for its program
	r.install("late", "echo 1")
	r.await(id, jobs.Succeeded)
	first := r.result(id).Provenance.ProgramSHA256
	if list := receive(t, changes); len(list) != 1 || list[0].SHA256 != first {
		t.Errorf("announced %v, ran %s", list, first)
	}

	r.install("late", "echo 2")
	second := r.submit(job("late"))
	r.await(second, jobs.Succeeded)
	if got := r.result(second); string(got.Result) == "2" && got.Provenance.ProgramSHA256 == first {
		t.Errorf("the new program ran under the old digest")
	}

	r.install("other", "echo 3") // also without a restart
	r.await(r.submit(job("other")), jobs.Succeeded)
}

// TestWeightIsAnnounced changes the weight of a program while a node runs.
func TestWeightIsAnnounced(t *testing.T) {
	t.Parallel()
	changes := make(chan []nodes.Program, 100)
	r := newFixture(t, func(c *Config) { c.OnPrograms = func(list []nodes.Program) { changes <- list } })
	r.install("plain", "echo 1")
	r.installFolder("heavy", "echo 1", `{"weight":2}`)
	weights := func(list []nodes.Program) string {
		return fmt.Sprint(list[0].Name, list[0].Weight, list[1].Name, list[1].Weight)
	}
	n := r.start()
	if got := weights(n.Programs()); got != "heavy2plain1" {
		t.Errorf("announced %s", got)
	}
	manifest := filepath.Join(r.cfg.Programs, "heavy", "program.json")
	r.must(os.WriteFile(manifest+".new", []byte(`{"weight":1000}`), 0o600))
	r.must(os.Rename(manifest+".new", manifest))
	if got := weights(receive(t, changes)); got != "heavy1000plain1" {
		t.Errorf("announced %s", got)
	}
}

// TestSpoiledProgram makes a program writable by all. The job waits with the reason,
// and runs once that is corrected.
func TestSpoiledProgram(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.onPause = func() { t.Error("a slot has stopped taking work") } })
	r.install("p", "echo 1")
	n := r.start()
	r.await(r.submit(job("p")), jobs.Succeeded)
	path := filepath.Join(r.cfg.Programs, "p")
	r.must(os.Chmod(path, 0o757))
	j := job("p")
	id := r.submit(j)
	r.until("the job waits for its program", func() bool {
		record := r.get(id)
		return record.State == jobs.Queued && strings.Contains(record.Reason, "program p: the file is writable by others") ||
			record.Attempt == 0 && len(n.Programs()) == 0 // the scan was first
	})
	r.must(os.Chmod(path, 0o755))
	if record := r.await(id, jobs.Succeeded); record.Spent != 0 {
		t.Errorf("a fault of the node has cost the job %d attempts", record.Spent)
	}
}

// TestReplacedMeanwhile replaces and spoils programs while the inputs of their jobs are
// fetched. The jobs are not charged and run again, and no slot stops taking work.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		fmt.Fprint(w, "1")
	})
	r := newFixture(t, func(c *Config) {
		c.scanEvery = time.Hour // only the attempts find out
		c.onPause = func() { t.Error("a slot has stopped taking work") }
	})
	r.install("replaced", "echo 1")
	r.install("spoiled", "echo 1")
	r.start()
	var ids []string
	for _, name := range []string{"replaced", "spoiled"} {
		j := job(name)
		j.Input = jobs.Input{URL: url}
		ids = append(ids, r.submit(j))
		receive(t, asked)
	}
	r.install("replaced", "echo 2")
	path := filepath.Join(r.cfg.Programs, "spoiled")
	r.must(os.Chmod(path, 0o757))
	close(answer)
	if r.await(ids[0], jobs.Succeeded); string(r.result(ids[0]).Result) != "2" {
		t.Errorf("result is %s", r.result(ids[0]).Result)
	}
	r.until("the other job waits", func() bool {
		record := r.get(ids[1])
		return record.State == jobs.Queued && strings.Contains(record.Reason, "program spoiled: the file is writable by others")
	})
	for _, id := range ids {
		if record := r.get(id); record.Spent != 0 || r.hasEvent(id, "trouble") {
			t.Errorf("%d attempts spent, or booked to the node", record.Spent)
		}
	}
}
