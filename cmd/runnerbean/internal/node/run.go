package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/retention"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
)

// Run works until stop ends, then lets running jobs finish within the grace period.
// kill ends it at once. Run serves results until the last job has ended, and returns
// when all parts have ended. The first part that ends stops the others.
func (n *Node) Run(stop, kill context.Context) error {
	tuneCollection()
	n.log.Info("node is up", "node", n.set.Node, "url", n.set.BaseURL, "slots", n.set.Slots,
		"programs", names(n.worker.Programs()), "beanstalkd", strings.Join(n.set.Beanstalkd, ","))
	n.gate.start(stop)
	n.announce() // the first heartbeat has the vitals
	notify(daemon.SdNotifyReady)
	defer context.AfterFunc(stop, func() { notify(daemon.SdNotifyStopping) })()
	defer n.log.Info("node has ended", "node", n.set.Node)
	serve, stopServing := context.WithCancel(context.WithoutCancel(stop))
	defer stopServing()
	failed, fail := context.WithCancel(stop)
	defer fail()
	defer context.AfterFunc(failed, func() { n.stopping.Store(true) })()
	working, interrupt := context.WithCancel(kill)
	defer interrupt()
	var group errgroup.Group
	part := func(name string, run func() error) {
		group.Go(func() error {
			defer fail()
			if err := run(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	part("disk", func() error {
		defer interrupt()
		return n.watchDisk(serve)
	})
	part("publisher", func() error { return n.publisher.Serve(serve, n.listener) })
	part("dispatch", func() error { return n.dispatcher.Run(failed) })
	part("batches", func() error { return n.batches.Run(failed) })
	part("webhooks", func() error { return n.webhooks.Run(serve) })
	part("gate", func() error { return n.gate.run(serve) })
	part("heartbeat", func() error { return n.heartbeat(fail).Run(serve) })
	part("counters", func() error { return rollupLoop{n.ledger, n.set.Node, n.log.Logger}.run(serve) })
	part("retention", func() error { return n.retention().Run(failed) })
	part("worker", func() error {
		defer stopServing()
		return n.worker.Run(failed, working)
	})
	return cmp.Or(group.Wait(), n.left())
}

// watchDisk returns an error when the ledger or the store could not sync its data, or when
// a newer program has upgraded the ledger. Only opening them again helps, so the node ends and its service manager starts it
// again. Running jobs are interrupted, because their ends cannot be recorded.
func (n *Node) watchDisk(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.ledger.Failed():
	case <-n.store.Failed():
	}
	err := n.diskFailure()
	text := "the disk has failed this node; it ends, so that it is started again and opens its files anew"
	if errors.Is(err, ledger.ErrNewer) {
		text = "the ledger was upgraded under this node, whose program is too old for it now; it ends"
	}
	n.log.Error(text, "node", n.set.Node, "err", err)
	return err
}

// heartbeat returns the heartbeat of this instance. stop ends the node in good order.
func (n *Node) heartbeat(stop func()) dispatch.Heartbeat {
	return dispatch.Heartbeat{
		Ledger: n.ledger, Node: n.row(), Every: n.heartbeatInterval(),
		Programs: n.worker.Programs, Slots: n.worker.Slots, Vitals: n.vitals, Changed: n.announced, Logger: n.log.Logger,
		Upgrade: func(ctx context.Context, u nodes.Upgrade) { n.leaveForUpgrade(ctx, u, stop) },
	}
}

func (n *Node) retention() *retention.Loop {
	return &retention.Loop{
		Ledger: n.ledger, Store: n.store, Node: n.set.Node, Instance: n.instance, Keep: n.set.Keep, Logger: n.log.Logger,
	}
}

func names(programs []nodes.Program) []string {
	list := make([]string, 0, len(programs))
	for _, p := range programs {
		list = append(list, p.Name)
	}
	return list
}
