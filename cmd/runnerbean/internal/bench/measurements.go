package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// bencher puts jobs on the inbox of a node and waits for their ends.
type bencher struct {
	node   *node.Node
	client *jobs.Client
	input  []byte // 10 KiB of JSON
	ended  chan struct{}
	remove func()
}

func newBencher(n *node.Node, set settings.Settings) (*bencher, error) {
	client, err := jobs.New(jobs.Config{Beanstalkd: set.Beanstalkd, Prefix: set.Prefix, BaseURL: n.BaseURL()})
	if err != nil {
		return nil, err
	}
	b := &bencher{
		node: n, client: client, ended: make(chan struct{}, 1),
		input: []byte(`"` + strings.Repeat("bean", 2560) + `"`),
	}
	b.remove = n.Ledger().OnChange(func([]string) {
		select {
		case b.ended <- struct{}{}:
		default:
		}
	})
	return b, nil
}

func (b *bencher) close() {
	b.remove()
	b.client.Close()
}

// throughput puts count jobs on the inbox, waits until all have succeeded, and returns
// jobs per second.
func (b *bencher) throughput(ctx context.Context, count int) (float64, error) {
	before, err := b.succeeded(ctx)
	if err != nil {
		return 0, err
	}
	batch := make([]jobs.Job, count)
	for i := range batch {
		batch[i] = jobs.Job{Program: "cat", Input: jobs.Input{Data: b.input}}
	}
	start := time.Now()
	if _, err := b.client.EnqueueBatch(ctx, batch); err != nil {
		return 0, err
	}
	if err := b.until(ctx, before+count); err != nil {
		return 0, err
	}
	return float64(count) / time.Since(start).Seconds(), nil
}

// until waits for a number of succeeded jobs. A failed job is an error.
func (b *bencher) until(ctx context.Context, wanted int) error {
	for {
		counts, err := b.node.Ledger().Activity.Counts(ctx)
		switch {
		case err != nil:
			return err
		case counts[jobs.Failed] > 0:
			return errors.New("a job of the benchmark has failed")
		case counts[jobs.Succeeded] >= wanted:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (b *bencher) succeeded(ctx context.Context) (int, error) {
	counts, err := b.node.Ledger().Activity.Counts(ctx)
	return counts[jobs.Succeeded], err
}

// latency puts jobs one at a time, and compares the time of each put with the time that
// the program prints.
func (b *bencher) latency(ctx context.Context, samples int) (latency, error) {
	var took []float64
	for range samples {
		start := time.Now()
		job, err := b.client.Enqueue(ctx, jobs.Job{Program: "stamp", Input: jobs.Input{Data: []byte("0")}})
		if err != nil {
			return latency{}, err
		}
		seen, err := b.stamp(ctx, job.ID)
		if err != nil {
			return latency{}, err
		}
		took = append(took, float64(seen.Sub(start))/float64(time.Millisecond))
	}
	slices.Sort(took)
	at := func(q float64) float64 { return took[min(int(q*float64(len(took))), len(took)-1)] }
	return latency{P50: at(0.5), P99: at(0.99), Max: took[len(took)-1]}, nil
}

// stamp waits until a job has succeeded, and returns the time that it printed.
func (b *bencher) stamp(ctx context.Context, id string) (time.Time, error) {
	for {
		record, err := b.node.Ledger().Get(ctx, id)
		if err == nil && record.State == jobs.Succeeded {
			return b.printed(ctx, id)
		}
		if record.State.Final() {
			return time.Time{}, fmt.Errorf("job %s: %s", id, terminal.JobError(record.Error))
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-b.ended:
		case <-time.After(time.Second):
		}
	}
}

func (b *bencher) printed(ctx context.Context, id string) (time.Time, error) {
	object, err := b.node.Store().Open(ctx, store.ResultKey(id))
	if err != nil {
		return time.Time{}, err
	}
	defer object.Close()
	var result jobs.Result
	if err := json.NewDecoder(object).Decode(&result); err != nil {
		return time.Time{}, err
	}
	nanos, err := strconv.ParseInt(string(result.Result), 10, 64)
	return time.Unix(0, nanos), err
}

// spawnAlone starts a program count times without a node, width processes at a time,
// and returns starts per second.
func spawnAlone(ctx context.Context, path string, input []byte, width, count int) (float64, error) {
	var next atomic.Int64
	var group errgroup.Group
	start := time.Now()
	for range width {
		group.Go(func() error {
			for next.Add(1) <= int64(count) {
				cmd := exec.CommandContext(ctx, path)
				cmd.Stdin = bytes.NewReader(input)
				var out, log bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &log
				if err := cmd.Run(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return float64(count) / time.Since(start).Seconds(), err
}

// idle measures this process for a while. It returns its CPU time in percent of one
// processor, and its resident memory in bytes.
func idle(ctx context.Context, watch time.Duration) (percent float64, memory int64) {
	before, start := cpuTime(), time.Now()
	retry.Sleep(ctx, watch)
	return float64(cpuTime()-before) / float64(time.Since(start)) * 100, residentMemory()
}

// residentMemory returns the resident memory in bytes. It is 0 where there is no /proc.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
