package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/beanstalkd"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

func newDev(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "dev",
		Short: "Run beanstalkd and a node together, for trying things on one machine",
		Long: `Run the installed beanstalkd as a child, with a binlog in the data folder, and a
node beside it. Inputs may come from this machine. One Ctrl-C ends both.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := settings.Read()
			if err != nil {
				return err
			}
			set.FetchAllow = append(set.FetchAllow, "127.0.0.0/8", "::1")
			return asNode(cmd.Context(), set, func(p *nodeProcess) error {
				return runDev(cmd.Context(), a.kill, set, p)
			})
		},
	}
}

func runDev(stop, kill context.Context, set settings.Settings, p *nodeProcess) error {
	if len(set.Beanstalkd) != 1 {
		return usageError(errors.New("dev starts one beanstalkd: RUNNERBEAN_BEANSTALKD must name one address"))
	}
	child, err := beanstalkd.Start(set.Beanstalkd[0], filepath.Join(set.Data, "binlog"), p.buffer, p.log)
	if err != nil {
		return err
	}
	defer child.Stop()
	stop, cancel := context.WithCancel(stop)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- child.Wait(stop, cancel) }()
	err = p.runNode(stop, kill, set)
	cancel()
	return errors.Join(err, <-ended)
}
