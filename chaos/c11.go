package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func init() {
	register(scenario{
		name: "c11", title: "two thousand slow and idle HTTP clients, and two hundred event streams",
		run: slowClients,
	})
}

const (
	slowCount   = 2000
	streamCount = 200
	// bigResult is more than the buffers between a node and a slow reader hold.
	bigResult = 4 << 20
)

// audience is a node and those who listen to it.
type audience struct {
	rig   *rig
	node  *node
	small *job // has ended, as has big
	big   *job
	pace  *http.Client
}

func slowClients(ctx context.Context, r *rig) error {
	if err := raiseFiles(4 * (slowCount + streamCount)); err != nil {
		return err
	}
	a, err := r.audience(ctx)
	if err != nil {
		return err
	}
	over := pick(r, time.Minute, 4*time.Second)
	// The first life only serves healthy clients: so many goroutines are its own.
	quiet, err := a.pace99(ctx, over)
	if err != nil {
		return err
	}
	usual, err := a.goroutines(ctx)
	if err != nil {
		return err
	}
	busy, err := a.besieged(ctx, over)
	if err != nil {
		return err
	}
	left, err := a.goroutines(ctx)
	if err != nil {
		return err
	}
	r.compare("p99 of a healthy GET among all others, in ms (twice the quiet one", busy, quiet)
	r.say("p99 of a healthy GET: %.2f ms while it was quiet, %.2f ms among the others", quiet, busy)
	r.measure(fmt.Sprintf("goroutines when all have gone, of %d in a life without them", usual), float64(left), float64(usual+8))
	return nil
}

// raiseFiles lets this process, and nodes that it starts, open so many files.
func raiseFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur, limit.Max = max(limit.Cur, n), max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d files must be allowed to be open: %w", n, err)
	}
	return nil
}

func (r *rig) audience(ctx context.Context) (*audience, error) {
	b, err := r.beanstalkd("beanstalkd")
	if err != nil {
		return nil, err
	}
	if err := b.up(ctx); err != nil {
		return nil, err
	}
	folder, err := r.install("work")
	if err != nil {
		return nil, err
	}
	a := &audience{rig: r, pace: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	if a.node, err = r.node("node1", place{beanstalkd: b.addr, programs: folder}, 2, nil); err != nil {
		return nil, err
	}
	if err := a.node.up(ctx); err != nil {
		return nil, err
	}
	a.small, a.big = r.job(r.rand, "work", 0, 1000), r.job(r.rand, "work", 0, bigResult)
	return a, errors.Join(a.finish(ctx, a.small), a.finish(ctx, a.big))
}

// finish submits a job and waits for its end.
func (a *audience) finish(ctx context.Context, j *job) error {
	if status := a.rig.post(ctx, a.node, j); status != http.StatusCreated {
		return fmt.Errorf("a job was answered with status %d", status)
	}
	return until(ctx, 20*time.Millisecond, "a job ends", func() bool { return a.rig.get(ctx, a.node, j, true).final() })
}

// pace99 is the 99th percentile, in milliseconds, of what two clients wait for a
// result who ask for it again and again.
func (a *audience) pace99(ctx context.Context, over time.Duration) (float64, error) {
	var mu sync.Mutex
	var took []float64
	var first error
	var wait sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, over)
	defer cancel()
	for range 2 {
		wait.Go(func() {
			for sleep(ctx, 2*time.Millisecond) {
				began := time.Now()
				err := a.healthy()
				mu.Lock()
				took = append(took, float64(time.Since(began).Microseconds())/1000)
				if err != nil && first == nil {
					first = err
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if first != nil || len(took) < 100 {
		return 0, fmt.Errorf("%d healthy GETs: %w", len(took), first)
	}
	slices.Sort(took)
	return took[len(took)*99/100], nil
}

func (a *audience) healthy() error {
	res, err := a.pace.Get("http://" + a.node.addr + "/" + a.small.id)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// besieged is pace99 while all others are there. They have gone when it returns,
// and the node has had time to notice.
func (a *audience) besieged(ctx context.Context, over time.Duration) (float64, error) {
	if err := a.warm(ctx); err != nil {
		return 0, err
	}
	before, err := usageOf(a.node.pid())
	if err != nil {
		return 0, err
	}
	crowd, leave := context.WithCancel(ctx)
	defer leave()
	s := a.siege(crowd)
	last, told := a.listen(crowd, over+3*time.Second)
	arrived, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	most := usage{}
	err = until(arrived, 50*time.Millisecond, "all clients are connected", func() bool {
		most, _ = usageOf(a.node.pid())
		return most.files >= before.files+(slowCount+streamCount)*9/10
	})
	if err != nil {
		return 0, err
	}
	a.rig.measureLeast("connections that the node holds", float64(most.files-before.files), (slowCount+streamCount)*0.9)
	busy, err := a.pace99(ctx, over)
	if err != nil {
		return 0, err
	}
	a.rig.measureLeast("event streams that saw the end of their job", float64(<-told), streamCount)
	most, _ = usageOf(a.node.pid())
	leave()
	s.Wait()
	err = until(ctx, 20*time.Millisecond, "the job of the streams ends", func() bool { return a.rig.get(ctx, a.node, last, true).final() })
	return busy, errors.Join(err, a.gone(ctx, before, most))
}

// warm has the node open what it opens once, when many ask at the same time, and
// closes the connections of that.
func (a *audience) warm(ctx context.Context) error {
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for range 20 {
				a.rig.get(ctx, a.node, a.small, true)
				_ = a.rig.ask(ctx, a.node, "/api/v1/jobs", nil)
			}
		})
	}
	wait.Wait()
	web.CloseIdleConnections()
	if !sleep(ctx, time.Second) {
		return ctx.Err()
	}
	return a.healthy()
}

// gone waits until the node has closed what the others have left. The connections
// for reading the ledger are opened when they are needed, two files each.
func (a *audience) gone(ctx context.Context, before, most usage) error {
	waiting, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var after usage
	_ = until(waiting, 100*time.Millisecond, "descriptors are given back", func() bool {
		after, _ = usageOf(a.node.pid())
		return after.files <= before.files
	})
	a.rig.measure(fmt.Sprintf("open descriptors when all have gone, of %d before", before.files), float64(after.files), float64(before.files+8))
	a.rig.say("memory of the node: %d MB before, %d MB among them, %d MB after", before.resident/1e6, most.resident/1e6, after.resident/1e6)
	return ctx.Err()
}

// goroutines ends the node by SIGQUIT, upon which it prints all that it has, and
// starts it again.
func (a *audience) goroutines(ctx context.Context) (int, error) {
	a.pace.CloseIdleConnections()
	web.CloseIdleConnections()
	if !sleep(ctx, 2*time.Second) {
		return 0, ctx.Err()
	}
	before, err := os.ReadFile(a.node.log())
	if err != nil {
		return 0, err
	}
	a.node.signalEnd(syscall.SIGQUIT, "term", 5*time.Second)
	text, err := os.ReadFile(a.node.log())
	if err != nil {
		return 0, err
	}
	n := strings.Count(string(text[len(before):]), "\ngoroutine ")
	if n == 0 {
		return 0, errors.New("the node did not print its goroutines")
	}
	return n, a.node.up(ctx)
}
