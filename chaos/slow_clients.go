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

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

func slowClients(ctx context.Context, bed *testbed.Testbed) error {
	if err := raiseFiles(4 * (slowCount + streamCount)); err != nil {
		return err
	}
	a, err := newSlowClients(ctx, bed)
	if err != nil {
		return err
	}
	over := testbed.Pick(bed, time.Minute, 4*time.Second)
	// The first life of the node serves healthy clients only, for comparison.
	quiet, err := a.p99(ctx, over)
	if err != nil {
		return err
	}
	usual, err := a.goroutines(ctx)
	if err != nil {
		return err
	}
	busy, err := a.measureBusy(ctx, over)
	if err != nil {
		return err
	}
	left, err := a.goroutines(ctx)
	if err != nil {
		return err
	}
	compare(bed, "p99 of a healthy GET among all others, in ms (twice the quiet one", busy, quiet)
	bed.History.Logf("p99 of a healthy GET: %.2f ms while it was quiet, %.2f ms among the others", quiet, busy)
	bed.History.Measure(fmt.Sprintf("goroutines when all have gone, of %d in a life without them", usual), float64(left), float64(usual+8))
	return nil
}

// raiseFiles lets this process, and nodes that it starts, open n files.
func raiseFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur, limit.Max = max(limit.Cur, n), max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot raise the limit of open files to %d: %w", n, err)
	}
	return nil
}

func newSlowClients(ctx context.Context, bed *testbed.Testbed) (*slowClientsTest, error) {
	b, err := bed.NewServer("beanstalkd")
	if err != nil {
		return nil, err
	}
	if err := b.Up(ctx); err != nil {
		return nil, err
	}
	folder, err := bed.InstallPrograms("work")
	if err != nil {
		return nil, err
	}
	a := &slowClientsTest{bed: bed, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	if a.node, err = bed.NewNode("node1", testbed.Shared{Beanstalkd: b.Addr, Programs: folder}, 2, nil); err != nil {
		return nil, err
	}
	if err := a.node.Up(ctx); err != nil {
		return nil, err
	}
	a.small, a.big = bed.WorkJob(bed.Rand, "work", 0, 1000), bed.WorkJob(bed.Rand, "work", 0, bigResult)
	return a, errors.Join(a.finish(ctx, a.small), a.finish(ctx, a.big))
}

// finish submits a job and waits for its end.
func (a *slowClientsTest) finish(ctx context.Context, j *testbed.Job) error {
	if status := a.bed.Submit(ctx, a.node, j); status != http.StatusCreated {
		return fmt.Errorf("a job was answered with status %d", status)
	}
	return testbed.Until(ctx, 20*time.Millisecond, "a job ends", func() bool { return a.bed.GetResult(ctx, a.node, j, true).Final() })
}

// p99 returns the 99th percentile, in milliseconds, of the time of two clients
// to get a result.
func (a *slowClientsTest) p99(ctx context.Context, over time.Duration) (float64, error) {
	var mu sync.Mutex
	var took []float64
	var first error
	var wait sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, over)
	defer cancel()
	for range 2 {
		wait.Go(func() {
			for testbed.Sleep(ctx, 2*time.Millisecond) {
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

func (a *slowClientsTest) healthy() error {
	res, err := a.client.Get("http://" + a.node.Addr + "/" + a.small.ID)
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

// measureBusy returns p99 with all slow clients connected. When it returns,
// they are gone and the node has noticed.
func (a *slowClientsTest) measureBusy(ctx context.Context, over time.Duration) (float64, error) {
	if err := a.warmUp(ctx); err != nil {
		return 0, err
	}
	before, err := testbed.ReadUsage(a.node.Process.PID())
	if err != nil {
		return 0, err
	}
	connected, disconnect := context.WithCancel(ctx)
	defer disconnect()
	s := a.connectAll(connected)
	last, told := a.followJob(connected, over+3*time.Second)
	arrived, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	most := testbed.Usage{}
	err = testbed.Until(arrived, 50*time.Millisecond, "all clients are connected", func() bool {
		most, _ = testbed.ReadUsage(a.node.Process.PID())
		return most.Files >= before.Files+(slowCount+streamCount)*9/10
	})
	if err != nil {
		return 0, err
	}
	a.bed.History.MeasureLeast("connections that the node holds", float64(most.Files-before.Files), (slowCount+streamCount)*0.9)
	busy, err := a.p99(ctx, over)
	if err != nil {
		return 0, err
	}
	a.bed.History.MeasureLeast("event streams that saw the end of their job", float64(<-told), streamCount)
	most, _ = testbed.ReadUsage(a.node.Process.PID())
	disconnect()
	s.Wait()
	err = testbed.Until(ctx, 20*time.Millisecond, "the job of the streams ends", func() bool { return a.bed.GetResult(ctx, a.node, last, true).Final() })
	return busy, errors.Join(err, a.awaitClosed(ctx, before, most))
}

// warmUp makes the node open what it opens once, under many requests, and
// closes their connections.
func (a *slowClientsTest) warmUp(ctx context.Context) error {
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for range 20 {
				a.bed.GetResult(ctx, a.node, a.small, true)
				_ = a.bed.GetJSON(ctx, a.node, "/api/v1/jobs", nil)
			}
		})
	}
	wait.Wait()
	testbed.HTTPClient.CloseIdleConnections()
	if !testbed.Sleep(ctx, time.Second) {
		return ctx.Err()
	}
	return a.healthy()
}

// awaitClosed waits until the node has closed the connections of the slow
// clients. The node opens connections to the ledger when it needs them, with
// two files each.
func (a *slowClientsTest) awaitClosed(ctx context.Context, before, most testbed.Usage) error {
	waiting, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var after testbed.Usage
	_ = testbed.Until(waiting, 100*time.Millisecond, "descriptors are given back", func() bool {
		after, _ = testbed.ReadUsage(a.node.Process.PID())
		return after.Files <= before.Files
	})
	a.bed.History.Measure(fmt.Sprintf("open descriptors when all have gone, of %d before", before.Files), float64(after.Files), float64(before.Files+8))
	a.bed.History.Logf("memory of the node: %d MB before, %d MB among them, %d MB after", before.Resident/1e6, most.Resident/1e6, after.Resident/1e6)
	return ctx.Err()
}

// goroutines ends the node with SIGQUIT, which prints its goroutines, counts
// them, and starts the node again.
func (a *slowClientsTest) goroutines(ctx context.Context) (int, error) {
	a.client.CloseIdleConnections()
	testbed.HTTPClient.CloseIdleConnections()
	if !testbed.Sleep(ctx, 2*time.Second) {
		return 0, ctx.Err()
	}
	before, err := os.ReadFile(a.node.Process.LogFile())
	if err != nil {
		return 0, err
	}
	a.node.Process.EndWith(syscall.SIGQUIT, "term", 5*time.Second)
	text, err := os.ReadFile(a.node.Process.LogFile())
	if err != nil {
		return 0, err
	}
	n := strings.Count(string(text[len(before):]), "\ngoroutine ")
	if n == 0 {
		return 0, errors.New("the node did not print its goroutines")
	}
	return n, a.node.Up(ctx)
}
