package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// backlog is a node with very many queued jobs.
type backlog struct {
	bed        *testbed.Testbed
	beanstalkd *testbed.Server
	node       *testbed.Node
	ids        []string // of the queued jobs
}

func manyQueued(ctx context.Context, bed *testbed.Testbed) error {
	h, err := newBacklog(ctx, bed)
	if err != nil {
		return err
	}
	few, many := 1000, testbed.Pick(bed, 1_000_000, 20_000)
	if err := h.put(ctx, few); err != nil {
		return err
	}
	if _, err := h.measure(ctx); err != nil { // the first reads are slow
		return err
	}
	before, err := h.memory(ctx, 0)
	if err != nil {
		return err
	}
	at1000, err := h.measure(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := h.put(ctx, many-few); err != nil {
		return err
	}
	took := time.Since(began)
	bed.History.Logf("%d jobs taken in through the inbox in %v: %.0f/s", many-few, took.Round(time.Second), float64(many-few)/took.Seconds())
	// The garbage collector returns memory within minutes.
	after, err := h.memory(ctx, before+30e6)
	if err != nil {
		return err
	}
	bed.History.Measure(fmt.Sprintf("growth of the node's memory at %d jobs, in MB", many), round(float64(after-before)/1e6), 30)
	atMany, err := h.measure(ctx)
	if err != nil {
		return err
	}
	for _, what := range at1000.order {
		compare(bed, what+fmt.Sprintf(" at %d queued jobs, in ms (twice that at %d", many, few), atMany.ms[what], at1000.ms[what])
	}
	return h.restart(ctx)
}

func newBacklog(ctx context.Context, bed *testbed.Testbed) (*backlog, error) {
	b, err := bed.NewServer("beanstalkd")
	if err != nil {
		return nil, err
	}
	// The speed of the disk should not count.
	b.Process.Args[slices.Index(b.Process.Args, "-f0")] = "-F"
	if err := b.Up(ctx); err != nil {
		return nil, err
	}
	h := &backlog{bed: bed, beanstalkd: b}
	folder, err := bed.InstallPrograms("work")
	if err != nil {
		return nil, err
	}
	at := testbed.Shared{Beanstalkd: b.Addr, Programs: folder, Ledger: filepath.Join(bed.Dir, "ledger.db"), Store: filepath.Join(bed.Dir, "store")}
	if h.node, err = bed.NewNode("node1", at, 1, nil); err != nil {
		return nil, err
	}
	return h, h.announce(ctx, at)
}

// announce makes the program "parked" known to the ledger by a second node, and
// stops that node.
func (h *backlog) announce(ctx context.Context, at testbed.Shared) error {
	folder, err := h.bed.Folder("programs-away")
	if err != nil {
		return err
	}
	at.Programs = folder
	if err := testbed.WriteProgram(filepath.Join(folder, "parked"), "exit 1"); err != nil {
		return err
	}
	away, err := h.bed.NewNode("away", at, 1, nil)
	if err != nil {
		return err
	}
	if err := away.Up(ctx); err != nil {
		return err
	}
	away.Process.Terminate(10 * time.Second)
	return h.node.Up(ctx)
}

// put puts jobs of the absent program on the inbox, and waits until the inbox
// is empty.
func (h *backlog) put(ctx context.Context, n int) error {
	rng := h.bed.Random("parked" + strconv.Itoa(len(h.ids)))
	c, err := testbed.DialBeanstalkd(h.beanstalkd.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Command([]byte("use " + testbed.Inbox + "\r\n")); err != nil {
		return err
	}
	for left := n; left > 0 && ctx.Err() == nil; {
		some := min(left, 200)
		documents := make([][]byte, some)
		for i := range documents {
			j := h.bed.NewJob(rng, "parked", 1, map[string]any{"labels": map[string]string{"meter": strconv.Itoa(len(h.ids) % 100)}})
			h.ids = append(h.ids, j.ID)
			documents[i] = j.Document
		}
		if err := c.PutMany(documents); err != nil {
			return err
		}
		left -= some
	}
	return testbed.Until(ctx, 50*time.Millisecond, "the inbox is empty", func() bool {
		n, _, err := c.Count(testbed.Inbox)
		return err == nil && n == 0
	})
}

// memory returns the node's memory in bytes. It waits some time for the value
// want or less.
func (h *backlog) memory(ctx context.Context, want int64) (least int64, err error) {
	for turn := range testbed.Pick(h.bed, 60, 8) {
		u, err := testbed.ReadUsage(h.node.Process.PID())
		if err != nil {
			return 0, err
		}
		if turn == 0 || u.Resident < least {
			least = u.Resident
		}
		if least <= want || !testbed.Sleep(ctx, time.Second) {
			break
		}
	}
	return least, ctx.Err()
}

// times are medians in milliseconds.
type times struct {
	order []string
	ms    map[string]float64
}

// measure measures requests and jobs while the others are queued.
func (h *backlog) measure(ctx context.Context) (times, error) {
	t := times{ms: map[string]float64{}}
	deep, err := h.deep(ctx)
	if err != nil {
		return t, err
	}
	pages := [][2]string{
		{"first page", "/api/v1/jobs"},
		{"page of a program and state", "/api/v1/jobs?program=parked&state=queued"},
		{"page of a label", "/api/v1/jobs?label=meter%3D7"},
		{"page of what there is none of", "/api/v1/jobs?state=failed"},
		{"deep page", "/api/v1/jobs?cursor=" + url.QueryEscape(deep)},
		{"a queued job's URL", "/" + h.ids[len(h.ids)/2]},
	}
	for _, p := range pages {
		t.order = append(t.order, p[0])
		if t.ms[p[0]], err = h.median(15, func() error { return h.bed.GetJSON(ctx, h.node, p[1], nil) }); err != nil {
			return t, err
		}
	}
	t.order = append(t.order, "a job of another program, from POST to its end")
	t.ms[t.order[len(t.order)-1]], err = h.median(15, func() error { return h.runJob(ctx) })
	return t, err
}

func (h *backlog) median(n int, do func() error) (float64, error) {
	var took []float64
	for range n {
		began := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(took)
	return took[n/2], nil
}

// deep returns the cursor of a page some way down.
func (h *backlog) deep(ctx context.Context) (string, error) {
	var page struct{ Next string }
	for range 10 {
		path := "/api/v1/jobs?limit=50"
		if page.Next != "" {
			path += "&cursor=" + url.QueryEscape(page.Next)
		}
		page.Next = ""
		if err := h.bed.GetJSON(ctx, h.node, path, &page); err != nil || page.Next == "" {
			return page.Next, err
		}
	}
	return page.Next, nil
}

// runJob runs a job of the present program.
func (h *backlog) runJob(ctx context.Context) error {
	j := h.bed.WorkJob(h.bed.Rand, "work", 0, 0)
	if status := h.bed.Submit(ctx, h.node, j); status != http.StatusCreated {
		return fmt.Errorf("a job was answered with status %d", status)
	}
	return h.awaitEnd(ctx, j)
}

func (h *backlog) awaitEnd(ctx context.Context, j *testbed.Job) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return testbed.Until(ctx, 2*time.Millisecond, "a job ends", func() bool { return h.bed.GetResult(ctx, h.node, j, true).Final() })
}

// restart kills the node and beanstalkd, deletes the binlog and starts both
// again. All messages are lost.
func (h *backlog) restart(ctx context.Context) error {
	bed := h.bed
	var waiting []*testbed.Job
	for range 20 { // more than run before the kill
		j := bed.WorkJob(bed.Rand, "work", 200*time.Millisecond, 0)
		if status := bed.Submit(ctx, h.node, j); status != http.StatusCreated {
			return fmt.Errorf("a job was answered with status %d", status)
		}
		waiting = append(waiting, j)
	}
	h.node.Process.Kill()
	h.beanstalkd.Process.Kill()
	if err := h.beanstalkd.DeleteBinlog(); err != nil {
		return err
	}
	began := time.Now()
	if err := h.beanstalkd.Up(ctx); err != nil {
		return err
	}
	if err := h.node.Up(ctx); err != nil {
		return err
	}
	bed.History.Measure("seconds from start to ready", round(time.Since(began).Seconds()), 30)
	if err := h.runJob(ctx); err != nil {
		return err
	}
	bed.History.Measure("seconds from start to the end of a new job", round(time.Since(began).Seconds()), 30)
	for _, j := range waiting {
		if err := h.awaitEnd(ctx, j); err != nil {
			bed.History.Logf("%s: %v", j.ID, err)
		}
	}
	bed.History.Measure("seconds from start to the end of all jobs that a slot was there for", round(time.Since(began).Seconds()), 30)
	return h.resent(ctx, began)
}

// resent reports how fast the messages of the other jobs come back. There is no
// limit, since no job waits for them.
func (h *backlog) resent(ctx context.Context, began time.Time) error {
	c, err := testbed.DialBeanstalkd(h.beanstalkd.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	n := 0
	for first := true; first || time.Since(began) < time.Minute && n < len(h.ids) && testbed.Sleep(ctx, 200*time.Millisecond); first = false {
		tube, err := c.RunTube("parked")
		if err != nil {
			return err
		}
		if n, _, err = c.Count(tube); err != nil {
			return err
		}
	}
	h.bed.History.Logf("%d of %d messages of the absent program are back after %.1f s", n, len(h.ids), time.Since(began).Seconds())
	u, err := testbed.ReadUsage(h.node.Process.PID())
	h.bed.History.Logf("memory of the node after that: %d MB, at most %d MB", u.Resident/1e6, u.Peak/1e6)
	return err
}
