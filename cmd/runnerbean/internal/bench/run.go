// Package bench measures this machine: jobs per second, latency, the cost of an idle node.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/beanstalkd"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// Options say how much is measured.
type Options struct {
	Jobs, Slots, Rounds, Samples int
	Idle                         time.Duration
}

// Run starts a beanstalkd and a node in a temporary folder, and measures them.
func Run(ctx context.Context, progress io.Writer, o Options) (Report, error) {
	folder, err := os.MkdirTemp("", "runnerbean-bench-*")
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(folder)
	set, err := benchSettings(folder, o.Slots)
	if err != nil {
		return Report{}, err
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	child, err := beanstalkd.Start(set.Beanstalkd[0], filepath.Join(folder, "binlog"), os.Stderr, quiet)
	if err != nil {
		return Report{}, err
	}
	defer child.Stop()
	n, err := node.Open(ctx, set, node.Log{Logger: quiet})
	if err != nil {
		return Report{}, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(running, running) }()
	report, err := measure(ctx, progress, n, set, o)
	cancel()
	return report, errors.Join(err, <-ended, n.Close())
}

// benchSettings returns the settings of the node, and installs its programs.
func benchSettings(folder string, slots int) (settings.Settings, error) {
	queueAddr, err := beanstalkd.FreeAddr()
	if err != nil {
		return settings.Settings{}, err
	}
	set := settings.Settings{
		Beanstalkd: []string{queueAddr}, Prefix: "bench", Node: "bench", Data: folder,
		Slots: slots, Listen: "127.0.0.1:0", Timeout: time.Minute, Attempts: 1,
		Grace: time.Second, ShutdownGrace: time.Second,
	}
	if err := set.FillDefaults(); err != nil {
		return set, err
	}
	return set, installBenchPrograms(set.Programs)
}

func installBenchPrograms(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		return err
	}
	// The time includes the start of a shell and of date, so it is an upper bound.
	stamp := []byte("#!/bin/sh\nexec date +%s%N\n")
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "cat"), cat, 0o755),
		os.WriteFile(filepath.Join(folder, "stamp"), stamp, 0o755),
	)
}

func measure(ctx context.Context, progress io.Writer, n *node.Node, set settings.Settings, o Options) (Report, error) {
	report := Report{Slots: o.Slots}
	b, err := newBencher(n, set)
	if err != nil {
		return report, err
	}
	defer b.close()
	if _, err := b.throughput(ctx, o.Slots); err != nil { // until the node works
		return report, err
	}
	fmt.Fprintf(progress, "idle for %s ...\n", o.Idle)
	report.IdleCPU, report.IdleMemory = idle(ctx, o.Idle)
	fmt.Fprintf(progress, "latency of %d jobs ...\n", o.Samples)
	if report.PutToStart, err = b.latency(ctx, o.Samples); err != nil {
		return report, err
	}
	var spawns, wholes []float64
	for round := range o.Rounds {
		fmt.Fprintf(progress, "round %d of %d ...\n", round+1, o.Rounds)
		spawn, err := spawnAlone(ctx, filepath.Join(set.Programs, "cat"), b.input, o.Slots, o.Jobs)
		if err != nil {
			return report, err
		}
		whole, err := b.throughput(ctx, o.Jobs)
		if err != nil {
			return report, err
		}
		spawns, wholes = append(spawns, spawn), append(wholes, whole)
	}
	report.Spawn, report.Whole = median(spawns), median(wholes)
	report.Ratio = report.Whole / report.Spawn
	return report, nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
