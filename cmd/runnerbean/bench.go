package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/bench"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

func newBench(a *app) *cobra.Command {
	o := bench.Options{Jobs: 2000, Slots: 4, Rounds: 3, Samples: 200, Idle: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: jobs per second, latency, cost of an idle node",
		Long: `Measure the whole system on this machine: a beanstalkd and a node of its own in a
temporary folder, with "cat" as the program and 10 KiB of input. The rate is
from the inbox tube through ledger, process and synced result to the deleted
message, and as a ratio to starting the same program alone in the same run.`,
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
	f := cmd.Flags()
	f.IntVar(&o.Jobs, "jobs", o.Jobs, "jobs in each round")
	f.IntVar(&o.Slots, "slots", o.Slots, "slots of the node")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of both kinds, in turn")
	f.IntVar(&o.Samples, "samples", o.Samples, "jobs whose latency is measured")
	f.Var((*spanFlag)(&o.Idle), "idle", "how long the idle node is watched")
	return cmd
}
