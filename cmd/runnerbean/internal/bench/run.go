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
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/beanstalkd"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

// Run starts a beanstalkd and a node in a temporary folder, and measures them.
func Run(ctx context.Context, progress io.Writer, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	folder, err := os.MkdirTemp("", "runnerbean-bench-*")
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(folder)
	set, err := benchSettings(ctx, folder, o)
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
	report, err := measure(ctx, progress, n, set, child.PID(), o)
	cancel()
	return report, errors.Join(err, <-ended, n.Close())
}

// benchSettings returns the settings of the node, and installs its programs.
func benchSettings(ctx context.Context, folder string, o Options) (settings.Settings, error) {
	database, err := benchLedger(ctx, o.Ledger)
	if err != nil {
		return settings.Settings{}, err
	}
	queueAddr, err := beanstalkd.FreeAddr()
	if err != nil {
		return settings.Settings{}, err
	}
	set := settings.Settings{
		Beanstalkd: []string{queueAddr}, Prefix: "bench", Node: "bench", Data: filepath.Join(folder, "data"), Programs: filepath.Join(folder, "programs"),
		Ledger: database, Slots: o.Slots, Listen: "127.0.0.1:0", Timeout: time.Minute, Attempts: 1,
		Grace: time.Second, ShutdownGrace: time.Second, LedgerResults: 64 << 10, // as by default
	}
	if err := set.FillDefaults(); err != nil {
		return set, err
	}
	if err := installBenchPrograms(set.Programs); err != nil || o.Mode != ModeStream {
		return set, err
	}
	return set, installStreamProgram(set.Programs)
}

// benchLedger returns the name of a ledger that does not exist yet; "" for a file in the
// temporary folder.
func benchLedger(ctx context.Context, url string) (string, error) {
	name, err := settings.LedgerName(url)
	if err != nil || name == "" {
		return "", err
	}
	seen, err := ledger.Peek(ctx, name)
	if err == nil && seen.Schema > 0 {
		err = &settings.Error{Err: fmt.Errorf("%s has a ledger already, and the jobs of this measurement would stay in it: name an empty schema (&search_path=NAME in the URL)", ledger.Name(name))}
	}
	return name, err
}

func installBenchPrograms(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "cat"), cat, 0o755),
		installStamp(filepath.Join(folder, "stamp")),
	)
}

func measure(ctx context.Context, progress io.Writer, n *node.Node, set settings.Settings, server int, o Options) (Report, error) {
	report := Report{Mode: o.Mode, Size: o.Size, Slots: o.Slots, Jobs: o.Jobs}
	b, err := newBencher(n, set, o.Size)
	if err != nil {
		return report, err
	}
	defer b.close()
	r := &rounds{
		options: o, bencher: b, meter: meter{base: n.BaseURL(), addr: set.Beanstalkd[0], child: server},
		cat: filepath.Join(set.Programs, "cat"), cmdstalk: findCmdstalk(set.Beanstalkd[0], o.Slots, b.input), progress: progress,
	}
	if _, err := b.throughput(ctx, r.program(), o.Slots, func(int) {}); err != nil { // until the node works
		return report, err
	}
	fmt.Fprintf(progress, "idle for %s ...\n", o.Idle)
	report.IdleCPU, report.IdleMemory = idle(ctx, o.Idle)
	fmt.Fprintf(progress, "latency of %d jobs ...\n", o.Samples)
	if report.PutToStart, err = b.latency(ctx, set.Programs, o.Samples); err != nil {
		return report, err
	}
	for n := range o.Rounds {
		one, err := r.measure(ctx, n)
		if err != nil {
			return report, err
		}
		report.Rounds = append(report.Rounds, one)
	}
	report.sum(r.total, r.parts)
	return report, nil
}
