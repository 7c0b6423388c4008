package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/bench"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

func newBench(a *app) *cobra.Command {
	o := bench.Options{Mode: bench.ModeRun, Jobs: 2000, Slots: 4, Rounds: 5, Samples: 200, Idle: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: jobs per second, latency, cost of an idle node",
		Long: `Measure the whole system on this machine: a beanstalkd and a node of its own in a
temporary folder, with "cat" as the program and 10 KiB of input. The rate is
from the inbox tube through ledger, process and synced result to the deleted
message, and as a ratio to starting the same program alone in the same run; to
cmdstalk, too, if that is in the PATH. A table says what a job costs, by part.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := bench.Run(cmd.Context(), a.stderr, o)
			if err != nil {
				return err
			}
			if a.json {
				return terminal.PrintJSON(a.stdout, report)
			}
			return report.Print(a.stdout)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: bench.StreamCommand, Short: "The program of --mode stream", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return bench.ServeStream(a.stdin, a.stdout) },
	})
	f := cmd.Flags()
	f.StringVar(&o.Mode, "mode", o.Mode, "run starts a process for each job, stream has one that stays")
	f.IntVar(&o.Size, "size", o.Size, "bytes of an input (default 10240; 1024 with --mode stream)")
	f.StringVar(&o.CPUProfile, "cpuprofile", o.CPUProfile, "write the processor profile of the last round of jobs to a file")
	f.StringVar(&o.Ledger, "ledger", o.Ledger, "database without a ledger that is measured in place of a file, postgres://USER@HOST/DATABASE")
	f.IntVar(&o.Jobs, "jobs", o.Jobs, "jobs in each round")
	f.IntVar(&o.Slots, "slots", o.Slots, "slots of the node")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of each kind, in turn")
	f.IntVar(&o.Samples, "samples", o.Samples, "jobs whose latency is measured")
	f.Var((*spanFlag)(&o.Idle), "idle", "how long the idle node is watched")
	return cmd
}
