package bench

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

// bencher puts jobs on the inbox of a node and waits for their ends.
type bencher struct {
	node   *node.Node
	client *jobs.Client
	input  []byte // JSON
	ended  chan struct{}
	remove func()
}

func newBencher(n *node.Node, set settings.Settings, size int) (*bencher, error) {
	client, err := jobs.New(jobs.Config{Beanstalkd: set.Beanstalkd, Prefix: set.Prefix, BaseURL: n.BaseURL()})
	if err != nil {
		return nil, err
	}
	b := &bencher{
		node: n, client: client, ended: make(chan struct{}, 1),
		input: []byte(`"` + strings.Repeat("b", max(size-2, 0)) + `"`),
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
// jobs per second. done is called with how many have.
func (b *bencher) throughput(ctx context.Context, program string, count int, done func(int)) (float64, error) {
	before, err := b.succeeded(ctx)
	if err != nil {
		return 0, err
	}
	batch := make([]jobs.Job, count)
	for i := range batch {
		batch[i] = jobs.Job{Program: program, Input: jobs.Input{Data: b.input}}
	}
	start := time.Now()
	if _, err := b.client.EnqueueBatch(ctx, batch); err != nil {
		return 0, err
	}
	if err := b.until(ctx, before, count, done); err != nil {
		return 0, err
	}
	return float64(count) / time.Since(start).Seconds(), nil
}

// until waits until count more jobs than before have succeeded. A failed job is an error.
func (b *bencher) until(ctx context.Context, before, count int, done func(int)) error {
	for {
		counts, err := b.node.Ledger().Activity.Counts(ctx)
		ended := counts[jobs.Succeeded] - before
		switch {
		case err != nil:
			return err
		case counts[jobs.Failed] > 0:
			return errors.New("a job of the benchmark has failed")
		case ended >= count:
			return nil
		}
		done(ended)
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

// spawnAlone starts a program count times without a node, width processes at a time,
// and returns starts per second.
func spawnAlone(ctx context.Context, path string, input []byte, width, count int, done func(int)) (float64, error) {
	var next atomic.Int64
	var group errgroup.Group
	start := time.Now()
	for range width {
		group.Go(func() error {
			for n := next.Add(1); n <= int64(count); n = next.Add(1) {
				cmd := exec.CommandContext(ctx, path)
				cmd.Stdin = bytes.NewReader(input)
				var out, log bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &log
				if err := cmd.Run(); err != nil {
					return err
				}
				done(int(n))
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
