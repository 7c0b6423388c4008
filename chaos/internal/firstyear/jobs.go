package firstyear

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

const day = 24 * time.Hour

// kind is a kind of jobs.
type kind struct {
	program string
	asks    any           // "keep" of the document
	keep    time.Duration // what that, the program and the pool come to; 0: for ever
	state   string        // that the jobs are meant to end in
	share   int           // of the jobs
}

// hasParts reports whether jobs of the kind leave a log and a file.
func (k *kind) hasParts() bool { return k.program == "keeper" }

// job is a job that is to be deleted after a time.
type job struct {
	doc  *testbed.Job
	kind *kind
	week int  // in which it was made
	gone bool // it is known to be deleted
}

// installKinds installs the programs of the kinds: "echo" returns its input, "keeper"
// leaves a log and a file too, "refuse" fails, and the jobs of "brief" are kept for as
// long as its description says.
func (p *pool) installKinds(brief string) error {
	for name, line := range map[string]string{
		"echo": "exec cat", "keeper": "echo noted >&2; exec tee out/data.json", "refuse": "echo no >&2; exit 65",
	} {
		if err := testbed.WriteProgram(filepath.Join(p.at.Programs, name), line); err != nil {
			return err
		}
	}
	if brief == "" {
		return nil
	}
	return p.program("brief", fmt.Sprintf(`{"keep":%q}`, brief), "exec cat")
}

// makeJobs returns jobs of the kinds, with inputs of various sizes that are also the
// results.
func makeJobs(bed *testbed.Testbed, rng *rand.Rand, kinds []kind, n, pad int) []*job {
	sum := 0
	for i := range kinds {
		sum += kinds[i].share
	}
	list := make([]*job, n)
	for i := range list {
		roll, at := rng.IntN(sum), 0
		for roll >= kinds[at].share {
			roll -= kinds[at].share
			at++
		}
		list[i] = makeJob(bed, rng, &kinds[at], pad)
	}
	return list
}

func makeJob(bed *testbed.Testbed, rng *rand.Rand, k *kind, pad int) *job {
	more := map[string]any{}
	if k.asks != nil {
		more["keep"] = k.asks
	}
	answer := fmt.Sprintf("%016x", rng.Uint64())
	filler := make([]byte, rng.IntN(pad)/2)
	for i := range filler {
		filler[i] = byte(rng.Uint32())
	}
	j := &job{kind: k, doc: bed.NewJob(rng, k.program, map[string]string{"answer": answer, "pad": hex.EncodeToString(filler)}, more)}
	if k.state == "succeeded" {
		j.doc.Answer = answer
	}
	bed.History.Note(check.Event{What: check.Meant, Job: j.doc.ID, N: k.keep.Seconds(), State: k.state})
	return j
}

func plain(list []*job) []*testbed.Job {
	jobs := make([]*testbed.Job, len(list))
	for i, j := range list {
		jobs[i] = j.doc
	}
	return jobs
}

// lookAt records whether all parts of a job are there.
func (p *pool) lookAt(ctx context.Context, n *testbed.Node, j *job) {
	status := func(path string) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+path, nil)
		if err != nil {
			return 0
		}
		status, _ := testbed.Do(req)
		return status
	}
	e := check.Event{T: time.Now().UnixNano(), What: check.Parts, Who: n.Process.Name, Job: j.doc.ID, Parts: map[string]int{}}
	e.Parts["before"] = p.bed.GetResult(ctx, n, j.doc, true).Status
	e.Parts["show"] = status("/api/v1/jobs/" + j.doc.ID)
	e.Parts["log"] = status("/" + j.doc.ID + "/log")
	e.Parts["file"] = status("/" + j.doc.ID + "/files/data.json")
	e.Parts["after"] = p.bed.GetResult(ctx, n, j.doc, true).Status
	p.bed.History.Note(e)
}

// patience is how long the nodes may take to delete the next jobs whose time is over. They
// search for them once a minute.
const patience = 2 * time.Minute

// awaitGone demands that jobs are deleted, but a few.
func (p *pool) awaitGone(ctx context.Context, list []*job, few int) error {
	for last := time.Now(); len(list) > few && time.Since(last) < patience; {
		p.readAll(ctx, list)
		var left []*job
		for _, j := range list {
			if !j.gone {
				left = append(left, j)
			}
		}
		if len(left) < len(list) {
			last = time.Now()
		}
		list = left
		if !testbed.Sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
	if len(list) > few {
		p.bed.History.Measure("jobs that are not deleted although their time is over", float64(len(list)), float64(few))
	}
	return ctx.Err()
}

// leftObjects returns the objects in the store of jobs that were deleted, by a part of
// their paths.
func (p *pool) leftObjects(gone map[string]bool) (found []string) {
	_ = filepath.WalkDir(p.at.Store, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '.' }) {
			if gone[part] {
				found = append(found, path)
				break
			}
		}
		return nil
	})
	return found
}

// readAll asks for each job once.

func (p *pool) readAll(ctx context.Context, list []*job) {
	const many = 4
	var readers sync.WaitGroup
	for i := range many {
		readers.Go(func() {
			for at := i; at < len(list) && ctx.Err() == nil; at += many {
				s := p.bed.GetResult(ctx, p.nodes[at/many%2], list[at].doc, at%2 == 0)
				list[at].gone = s.Gone() || list[at].gone && s.Status == 0
			}
		})
	}
	readers.Wait()
}
