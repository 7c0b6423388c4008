package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(scenario{
		name: "c10", title: "a million queued jobs of a program whose node is away",
		limit: 12 * time.Minute, shortLimit: 90 * time.Second, run: manyQueued,
	})
}

// heap is a node with very many queued jobs.
type heap struct {
	rig        *rig
	beanstalkd *server
	node       *node
	ids        []string // of the queued jobs
}

func manyQueued(ctx context.Context, r *rig) error {
	h, err := r.heap(ctx)
	if err != nil {
		return err
	}
	few, many := 1000, pick(r, 1_000_000, 20_000)
	if err := h.put(ctx, few); err != nil {
		return err
	}
	if _, err := h.look(ctx); err != nil { // what is read first is slow
		return err
	}
	before, err := h.settled(ctx, 0)
	if err != nil {
		return err
	}
	at1000, err := h.look(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := h.put(ctx, many-few); err != nil {
		return err
	}
	took := time.Since(began)
	r.say("%d jobs taken in through the inbox in %v: %.0f/s", many-few, took.Round(time.Second), float64(many-few)/took.Seconds())
	// Putting is over; the collector of garbage gives memory back within minutes.
	after, err := h.settled(ctx, before+30e6)
	if err != nil {
		return err
	}
	r.measure(fmt.Sprintf("growth of the node's memory at %d jobs, in MB", many), round(float64(after-before)/1e6), 30)
	atMany, err := h.look(ctx)
	if err != nil {
		return err
	}
	for _, what := range at1000.order {
		r.compare(what+fmt.Sprintf(" at %d queued jobs, in ms (twice that at %d", many, few), atMany.ms[what], at1000.ms[what])
	}
	return h.restart(ctx)
}

// compare judges a time by another one: it may be twice as long, or so much
// longer as other work on the machine makes it at times.
func (r *rig) compare(what string, got, before float64) {
	// In the seconds of a short form one pause of a shared machine is a whole
	// percentile; it shows what breaks down, the full form what gets slower.
	noise := pick(r, 10.0, 200)
	r.measure(what+fmt.Sprintf(", or %.0f ms more)", noise), round(got), round(max(2*before, before+noise)))
}

// round to hundredths.
func round(f float64) float64 { return float64(int64(f*100+0.5)) / 100 }

func (r *rig) heap(ctx context.Context) (*heap, error) {
	b, err := r.beanstalkd("beanstalkd")
	if err != nil {
		return nil, err
	}
	// How fast the disk syncs is not what is measured here.
	b.args[slices.Index(b.args, "-f0")] = "-F"
	if err := b.up(ctx); err != nil {
		return nil, err
	}
	h := &heap{rig: r, beanstalkd: b}
	folder, err := r.install("work")
	if err != nil {
		return nil, err
	}
	at := place{beanstalkd: b.addr, programs: folder, ledger: filepath.Join(r.dir, "ledger.db"), store: filepath.Join(r.dir, "store")}
	if h.node, err = r.node("node1", at, 1, nil); err != nil {
		return nil, err
	}
	return h, h.announce(ctx, at)
}

// announce has a second node tell the ledger of the program "parked", and go.
func (h *heap) announce(ctx context.Context, at place) error {
	folder, err := h.rig.folder("programs-away")
	if err != nil {
		return err
	}
	at.programs = folder
	if err := writeProgram(filepath.Join(folder, "parked"), "exit 1"); err != nil {
		return err
	}
	away, err := h.rig.node("away", at, 1, nil)
	if err != nil {
		return err
	}
	if err := away.up(ctx); err != nil {
		return err
	}
	away.term(10 * time.Second)
	return h.node.up(ctx)
}

// put puts jobs of the absent program on the inbox and returns when all have
// been taken from it.
func (h *heap) put(ctx context.Context, n int) error {
	chance := h.rig.random("parked" + strconv.Itoa(len(h.ids)))
	c, err := dialBeanstalkd(h.beanstalkd.addr)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.ask([]byte("use " + inbox + "\r\n")); err != nil {
		return err
	}
	for left := n; left > 0 && ctx.Err() == nil; {
		some := min(left, 200)
		documents := make([][]byte, some)
		for i := range documents {
			j := h.rig.jobOf(chance, "parked", 1, map[string]any{"labels": map[string]string{"meter": strconv.Itoa(len(h.ids) % 100)}})
			h.ids = append(h.ids, j.id)
			documents[i] = j.document
		}
		if err := c.putMany(documents); err != nil {
			return err
		}
		left -= some
	}
	return until(ctx, 50*time.Millisecond, "the inbox is empty", func() bool {
		n, _, err := c.messages(inbox)
		return err == nil && n == 0
	})
}

// putMany puts bodies on the tube in use, without waiting for each answer.
func (b *beanstalk) putMany(bodies [][]byte) error {
	var command []byte
	for _, body := range bodies {
		command = fmt.Appendf(command, "put 1024 0 60 %d\r\n%s\r\n", len(body), body)
	}
	words, err := b.ask(command)
	for i := 1; err == nil; i++ {
		if words[0] != "INSERTED" {
			return fmt.Errorf("put: %v", words)
		}
		if i == len(bodies) {
			return nil
		}
		var line string
		line, err = b.r.ReadString('\n')
		words = strings.Fields(line + " -")
	}
	return err
}

// settled is the memory of the node, in bytes, when it is at most so much, or
// when it has had time to become that.
func (h *heap) settled(ctx context.Context, want int64) (least int64, err error) {
	for turn := range pick(h.rig, 60, 8) {
		u, err := usageOf(h.node.pid())
		if err != nil {
			return 0, err
		}
		if turn == 0 || u.resident < least {
			least = u.resident
		}
		if least <= want || !sleep(ctx, time.Second) {
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

// look measures what people and slots do while the jobs are queued.
func (h *heap) look(ctx context.Context) (times, error) {
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
		if t.ms[p[0]], err = h.median(15, func() error { return h.rig.ask(ctx, h.node, p[1], nil) }); err != nil {
			return t, err
		}
	}
	t.order = append(t.order, "a job of another program, from POST to its end")
	t.ms[t.order[len(t.order)-1]], err = h.median(15, func() error { return h.one(ctx) })
	return t, err
}

func (h *heap) median(n int, do func() error) (float64, error) {
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

// deep is the cursor of a page some way down.
func (h *heap) deep(ctx context.Context) (string, error) {
	var page struct{ Next string }
	for range 10 {
		path := "/api/v1/jobs?limit=50"
		if page.Next != "" {
			path += "&cursor=" + url.QueryEscape(page.Next)
		}
		page.Next = ""
		if err := h.rig.ask(ctx, h.node, path, &page); err != nil || page.Next == "" {
			return page.Next, err
		}
	}
	return page.Next, nil
}

// one takes a job of the program that is here to its end.
func (h *heap) one(ctx context.Context) error {
	j := h.rig.job(h.rig.rand, "work", 0, 0)
	if status := h.rig.post(ctx, h.node, j); status != http.StatusCreated {
		return fmt.Errorf("a job was answered with status %d", status)
	}
	return h.end(ctx, j)
}

func (h *heap) end(ctx context.Context, j *job) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return until(ctx, 2*time.Millisecond, "a job ends", func() bool { return h.rig.get(ctx, h.node, j, true).final() })
}

// restart kills node and beanstalkd, deletes the binlog, and starts both again:
// all messages are gone.
func (h *heap) restart(ctx context.Context) error {
	r := h.rig
	var waiting []*job
	for range 20 { // more than run before the kill
		j := r.job(r.rand, "work", 200*time.Millisecond, 0)
		if status := r.post(ctx, h.node, j); status != http.StatusCreated {
			return fmt.Errorf("a job was answered with status %d", status)
		}
		waiting = append(waiting, j)
	}
	h.node.kill()
	h.beanstalkd.kill()
	if err := h.beanstalkd.wipe(); err != nil {
		return err
	}
	began := time.Now()
	if err := h.beanstalkd.up(ctx); err != nil {
		return err
	}
	if err := h.node.up(ctx); err != nil {
		return err
	}
	r.measure("seconds from start to ready", round(time.Since(began).Seconds()), 30)
	if err := h.one(ctx); err != nil {
		return err
	}
	r.measure("seconds from start to the end of a new job", round(time.Since(began).Seconds()), 30)
	for _, j := range waiting {
		if err := h.end(ctx, j); err != nil {
			r.say("%s: %v", j.id, err)
		}
	}
	r.measure("seconds from start to the end of all jobs that a slot was there for", round(time.Since(began).Seconds()), 30)
	return h.resent(ctx, began)
}

// resent tells how fast the messages of the others come back. Nobody waits for
// them, so that there is no bound.
func (h *heap) resent(ctx context.Context, began time.Time) error {
	c, err := dialBeanstalkd(h.beanstalkd.addr)
	if err != nil {
		return err
	}
	defer c.close()
	n := 0
	for first := true; first || time.Since(began) < time.Minute && n < len(h.ids) && sleep(ctx, 200*time.Millisecond); first = false {
		tube, err := c.runTube("parked")
		if err != nil {
			return err
		}
		if n, _, err = c.messages(tube); err != nil {
			return err
		}
	}
	h.rig.say("%d of %d messages of the absent program are back after %.1f s", n, len(h.ids), time.Since(began).Seconds())
	u, err := usageOf(h.node.pid())
	h.rig.say("memory of the node after that: %d MB, at most %d MB", u.resident/1e6, u.peak/1e6)
	return err
}
