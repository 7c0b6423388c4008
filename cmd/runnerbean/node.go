package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/metrics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/tracing"
	"github.com/runnerbean/runnerbean/internal/vitals"
	"github.com/runnerbean/runnerbean/internal/webhook"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher"
	"github.com/runnerbean/runnerbean/worker"
)

// node is one life of one node: intake, worker and publisher over one ledger
// and one store.
type node struct {
	set      settings.Settings
	instance string
	log      *slog.Logger

	lock       *os.File
	home       string // identity of the data folder
	gate       *gate
	metrics    *metrics.Metrics
	tracer     *tracing.Tracer // nil where no collector is named
	listener   net.Listener
	ledger     *ledger.Ledger
	store      *store.Store
	dispatcher *dispatch.Dispatcher
	worker     *worker.Worker
	publisher  *publisher.Publisher
	hooks      *webhook.Deliverer
	machine    *vitals.Collector
	// announced is poked when the heartbeat has something to say at once.
	announced chan struct{}
}

// openNode opens all that a node stands on, and takes back what its last life
// left running. The caller calls close.
func openNode(ctx context.Context, set settings.Settings, log *slog.Logger) (*node, error) {
	n := &node{set: set, instance: jobs.NewID(), log: log, announced: make(chan struct{}, 1)}
	steps := []func(context.Context) error{n.openFolders, n.listen, n.openRecords, n.openParts, n.openWebhooks, n.register}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			n.close()
			return nil, err
		}
	}
	return n, nil
}

// openFolders makes the folders and takes the lock that proves that no other
// instance of this node is alive.
func (n *node) openFolders(context.Context) error {
	for _, folder := range []string{n.set.Data, n.scratch()} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("data folder: %w (see RUNNERBEAN_DATA)", err)
		}
	}
	err := n.openPrograms()
	if err != nil {
		return err
	}
	if n.lock, err = lockFolder(n.set.Data); err != nil {
		return err
	}
	n.home, err = homeOf(n.set.Data)
	return err
}

// openPrograms makes the programs folder where there is none.
func (n *node) openPrograms() error {
	if err := os.MkdirAll(n.set.Programs, 0o755); err != nil {
		return fmt.Errorf("programs folder: %w: make it (sudo install -d %s) or set RUNNERBEAN_PROGRAMS", err, n.set.Programs)
	}
	if exposed := n.set.ExposedPrograms(); exposed != "" {
		n.log.Warn(exposed, "do", settings.MovePrograms)
	}
	return nil
}

func (n *node) scratch() string { return filepath.Join(n.set.Data, "scratch") }

// listen comes early so that a taken port is told before any work is.
func (n *node) listen(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", n.set.Listen)
	if err != nil {
		err = fmt.Errorf("RUNNERBEAN_LISTEN: %w", err)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w: another node or program has this address", err)
		}
		return &settings.Error{Err: err}
	}
	n.listener = listener
	if n.set.BaseURL == "" {
		n.set.BaseURL = "http://" + listener.Addr().String()
		if n.set.TLSCert != "" {
			n.set.BaseURL = "https://" + listener.Addr().String()
		}
	}
	return n.checkPrivate()
}

// checkPrivate refuses to sign URLs of what everybody may read on the pages.
func (n *node) checkPrivate() error {
	if n.set.Results == settings.ResultsSigned && n.readOnly() != "" {
		return &settings.Error{Err: errors.New("with RUNNERBEAN_RESULTS=signed a node that others can reach needs tokens, or everybody would read the results on its pages: set RUNNERBEAN_TOKENS_FILE")}
	}
	return nil
}

func (n *node) openRecords(ctx context.Context) error {
	var err error
	n.metrics = n.newMetrics()
	if n.tracer, err = tracing.FromEnvironment(ctx, tracing.Config{Node: n.set.Node, Instance: n.instance, Version: version.Get().Version, Logger: n.log}); err != nil {
		return err
	}
	if n.ledger, err = ledger.Open(ctx, ledger.Config{DSN: n.set.Ledger, Lease: n.set.Lease, Observe: n.metrics.Ledger, Webhook: n.set.Webhook, BaseURL: n.set.BaseURL, Logger: n.log}); err != nil {
		return err
	}
	if n.store, err = store.Open(n.set.Store); err != nil {
		return err
	}
	n.store.Observe(n.metrics.Store)
	return nil
}

func (n *node) openParts(context.Context) error {
	out, err := n.outbound()
	if err != nil {
		return err
	}
	n.gate = &gate{n: n}
	n.machine = vitals.New(vitals.Config{Places: n.places()})
	servers := queue.Config{Addrs: n.set.Beanstalkd, Logger: n.log}
	n.dispatcher, err = dispatch.New(dispatch.Config{
		Queue: servers, Prefix: n.set.Prefix, Node: n.set.Node, Inbox: n.set.Inbox, Ledger: n.ledger,
		Interval: n.reconcileEvery(), OnAction: n.metrics.Action, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.worker, err = worker.New(worker.Config{
		Queue: servers, Prefix: n.set.Prefix, Ledger: n.ledger, Store: n.store,
		Node: n.set.Node, Instance: n.instance, BaseURL: n.set.BaseURL,
		Programs: n.set.Programs, Scratch: n.scratch(), Slots: n.set.Slots,
		Grace: max(n.set.Grace, 1), ShutdownGrace: noneBelowZero(n.set.ShutdownGrace),
		Timeout: n.set.Timeout, Attempts: n.set.Attempts, Outbound: out,
		Stall: n.set.Stall, MaxStdout: int64(n.set.MaxResult), MaxScratch: int64(n.set.MaxScratch),
		MaxMemory: int64(n.set.MaxMemory), MaxOpenFiles: n.set.MaxOpenFiles,
		Send:       n.dispatcher.Send,
		OnPrograms: func([]ledger.Program) { n.announce() }, OnEnded: n.ended, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.publisher, err = publisher.New(publisher.Config{
		Ledger: n.ledger, Store: n.store, BaseURL: n.set.BaseURL, Node: n.set.Node,
		Token: n.set.Token, TokensFile: n.set.TokensFile, ReadOnly: n.readOnly(), CORS: n.set.CORS,
		URLKeyFile: n.urlKeyFile(), TLSCert: n.set.TLSCert, TLSKey: n.set.TLSKey,
		Accept: n.dispatcher.Accept, Act: n.dispatcher.Act, Drain: n.gate.drain, Undrain: n.gate.undrain, Control: n.gate.control,
		Servers: n.dispatcher.Servers, Paused: n.dispatcher.Paused, Metrics: n.metrics.Handler(), Observe: n.metrics.Request,
		Ready: n.ready, Logger: n.log,
		Connections: func() int { return httpConnections(openFiles(), n.worker.Slots()) },
	})
	return err
}

// noneBelowZero returns -1 for 0: the worker takes 0 for its default and a
// negative time for none.
func noneBelowZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// readOnly says why a node that others can reach takes no orders over HTTP. A
// proxy on this machine lets others reach it, too; then its address is that of
// the result URLs.
func (n *node) readOnly() string {
	if n.set.Token != "" || n.set.TokensFile != "" {
		return ""
	}
	if listen, _, _ := net.SplitHostPort(n.listener.Addr().String()); !loopback(listen) {
		return "this node listens beyond loopback and has no tokens: set RUNNERBEAN_TOKENS_FILE to submit and cancel over HTTP"
	}
	if base, err := url.Parse(n.set.BaseURL); err != nil || !loopback(base.Hostname()) {
		return "RUNNERBEAN_BASE_URL says that others can reach this node, and it has no tokens: set RUNNERBEAN_TOKENS_FILE to submit and cancel over HTTP"
	}
	return ""
}

// loopback reports whether only this machine can mean a host by it.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// urlKeyFile is empty where results are open; then the file only serves the
// command line.
func (n *node) urlKeyFile() string {
	if n.set.Results == settings.ResultsOpen {
		return ""
	}
	return n.set.URLKeyFile
}

// beatEvery is how often the heartbeat is renewed, and the reconciler looks.
func (n *node) beatEvery() time.Duration { return min(n.set.Lease/4, 5*time.Second) }

func (n *node) reconcileEvery() time.Duration {
	if !reconciles {
		return -1
	}
	return n.beatEvery()
}

// register announces the node before intake starts, so that a document for an
// installed program is never taken for a fault. Where another node has this name,
// it waits to see whether that one is alive.
func (n *node) register(ctx context.Context) error {
	deadline := time.Now().Add(n.set.Lease + 2*time.Second)
	err := n.ledger.Register(ctx, n.row())
	if errors.Is(err, ledger.ErrTwin) {
		n.log.Warn("another node of this name may be alive; waiting to see", "node", n.set.Node, "wait", n.set.Lease, "err", err)
	}
	for errors.Is(err, ledger.ErrTwin) && time.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(n.set.Lease / 10):
		}
		err = n.ledger.Register(ctx, n.row())
	}
	if errors.Is(err, ledger.ErrTwin) {
		return fmt.Errorf("%w: give this one another name with RUNNERBEAN_NODE", err)
	}
	if err != nil || !reconciles {
		return err
	}
	return n.dispatcher.Recover(ctx)
}

func (n *node) row() ledger.Node {
	return ledger.Node{
		Name: n.set.Node, Instance: n.instance, Home: n.home, BaseURL: n.set.BaseURL,
		Version: version.Get().Version, Slots: n.worker.Slots(), Programs: n.worker.Programs(),
	}
}

func (n *node) announce() {
	select {
	case n.announced <- struct{}{}:
	default:
	}
}

// ready is what /readyz asks: whether there is room on the disks, beanstalkd
// answers and the ledger can be read.
func (n *node) ready(ctx context.Context) error {
	if low := n.gate.low.Load(); low != nil {
		return errors.New(*low)
	}
	if err := n.diskFailure(); err != nil {
		return err
	}
	if _, err := n.ledger.Counts(ctx); err != nil {
		return err
	}
	return n.dispatcher.Ping(ctx)
}

// run serves until stop ends, then lets running jobs finish within the grace
// period; kill ends it at once. Results are served until the last job has ended.
func (n *node) run(stop, kill context.Context) error {
	n.log.Info("node is up", "node", n.set.Node, "url", n.set.BaseURL, "slots", n.set.Slots,
		"programs", names(n.worker.Programs()), "beanstalkd", strings.Join(n.set.Beanstalkd, ","))
	if err := n.gate.look(stop); err != nil {
		n.log.Warn("cannot ask what is drained or paused; nothing is taken until that is known", "node", n.set.Node, "err", err)
		n.worker.Hold(unknownDrains)
		n.dispatcher.Hold(unknownDrains)
	}
	n.announce() // the first heartbeat says at once how the machine does
	notify(daemon.SdNotifyReady)
	defer context.AfterFunc(stop, func() { notify(daemon.SdNotifyStopping) })()
	defer n.log.Info("node has ended", "node", n.set.Node)
	serve, stopServing := context.WithCancel(context.WithoutCancel(stop))
	defer stopServing()
	failed, fail := context.WithCancel(stop)
	defer fail()
	var group errgroup.Group
	part := func(name string, run func() error) {
		group.Go(func() error {
			defer fail() // the first part that ends stops the rest
			if err := run(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	working, give := context.WithCancel(kill)
	defer give()
	part("disk", func() error {
		defer give()
		return n.watchDisk(serve)
	})
	part("publisher", func() error { return n.publisher.Serve(serve, n.listener) })
	part("dispatch", func() error { return n.dispatcher.Run(failed) })
	part("webhooks", func() error { return n.hooks.Run(serve) })
	part("gate", func() error { return n.gate.run(serve) })
	part("heartbeat", func() error { return n.heartbeat().Run(serve) })
	part("counters", func() error { return n.count(serve) })
	part("worker", func() error {
		defer stopServing()
		return n.worker.Run(failed, working)
	})
	return group.Wait()
}

// watchDisk returns an error when the disk has failed the ledger or the store,
// which nothing but opening them again can mend: the node ends, and its service
// manager starts it again. What runs is interrupted because its end could not
// be recorded.
func (n *node) watchDisk(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.ledger.Failed():
	case <-n.store.Failed():
	}
	err := n.diskFailure()
	n.log.Error("the disk has failed this node; it ends, so that it is started again and opens its files anew", "node", n.set.Node, "err", err)
	return err
}

func (n *node) diskFailure() error { return cmp.Or(n.ledger.Err(), n.store.Err()) }

// notify tells the service manager how the node stands, where there is one.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

func (n *node) heartbeat() dispatch.Heartbeat {
	return dispatch.Heartbeat{
		Ledger: n.ledger, Node: n.row(), Every: n.beatEvery(),
		Programs: n.worker.Programs, Slots: n.worker.Slots, Vitals: n.vitals, Changed: n.announced, Logger: n.log,
	}
}

// close gives back what was opened, in reverse order.
func (n *node) close() error {
	errs := []error{n.tracer.Close()}
	if n.dispatcher != nil {
		errs = append(errs, n.dispatcher.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.ledger != nil {
		errs = append(errs, n.ledger.Close())
	}
	if n.listener != nil {
		n.listener.Close() // already closed where it was served
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}

func names(programs []ledger.Program) []string {
	list := make([]string, 0, len(programs))
	for _, p := range programs {
		list = append(list, p.Name)
	}
	return list
}
