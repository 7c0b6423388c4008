package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/worker"
)

func newWorker(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run a node: intake, worker slots and publisher",
		Long: `Run a node: it takes jobs from beanstalkd, runs their programs and serves the
results over HTTP. The first SIGTERM or Ctrl-C stops taking work and lets
running jobs finish within RUNNERBEAN_SHUTDOWN_GRACE; then, or at the second,
they are interrupted, which costs them no attempt. SIGHUP reads tokens, keys,
certificates and programs again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := settings.Read()
			if err != nil {
				return err
			}
			return asNode(cmd.Context(), set, func(p *nodeProcess) error {
				return p.runNode(cmd.Context(), a.kill, set)
			})
		},
	}
}

// runNode opens a node, runs it until stop or kill ends, and closes it.
func (p *nodeProcess) runNode(stop, kill context.Context, set settings.Settings) error {
	log := p.log
	if err := worker.Protect(); err != nil {
		log.Warn("programs that run as this user can read the memory of the node", "err", err)
	}
	for _, said := range settings.Unknown(os.Environ()) {
		log.Warn(said)
	}
	n, err := node.Open(stop, set, node.Log{Logger: log, Dropped: p.buffer.Dropped})
	if err != nil {
		return err
	}
	defer p.onHangup(n.Reload)()
	return errors.Join(n.Run(stop, kill), n.Close())
}
