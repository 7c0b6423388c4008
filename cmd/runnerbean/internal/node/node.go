package node

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

// Node is one life of one node: intake, worker and publisher over one ledger
// and one store.
type Node struct {
	Settings settings.Settings
	instance string
	log      *slog.Logger

	lock       *os.File
	home       string // identity of the data folder
	gate       *intakeGate
	metrics    *metrics.Metrics
	tracer     *tracing.Tracer // nil where no collector is named
	listener   net.Listener
	Ledger     *ledger.Ledger
	Store      *store.Store
	dispatcher *dispatch.Dispatcher
	worker     *worker.Worker
	publisher  *publisher.Publisher
	hooks      *webhook.Deliverer
	machine    *vitals.Collector
	// announced is poked when the heartbeat has something to say at once.
	announced chan struct{}
}

// Open opens all that a node stands on, and takes back what its last life
// left running. The caller calls close.
func Open(ctx context.Context, set settings.Settings, log *slog.Logger) (*Node, error) {
	n := &Node{Settings: set, instance: jobs.NewID(), log: log, announced: make(chan struct{}, 1)}
	steps := []func(context.Context) error{n.openFolders, n.listen, n.openRecords, n.openParts, n.openWebhooks, n.register}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

// openFolders makes the folders and takes the lock that proves that no other
// instance of this node is alive.
func (n *Node) openFolders(context.Context) error {
	for _, folder := range []string{n.Settings.Data, n.scratch()} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("data folder: %w (see RUNNERBEAN_DATA)", err)
		}
	}
	err := n.openPrograms()
	if err != nil {
		return err
	}
	if n.lock, err = lockFolder(n.Settings.Data); err != nil {
		return err
	}
	n.home, err = dataIdentity(n.Settings.Data)
	return err
}

// openPrograms makes the programs folder where there is none.
func (n *Node) openPrograms() error {
	if err := os.MkdirAll(n.Settings.Programs, 0o755); err != nil {
		return fmt.Errorf("programs folder: %w: make it (sudo install -d %s) or set RUNNERBEAN_PROGRAMS", err, n.Settings.Programs)
	}
	if exposed := n.Settings.ExposedPrograms(); exposed != "" {
		n.log.Warn(exposed, "do", settings.MovePrograms)
	}
	return nil
}

func (n *Node) scratch() string { return filepath.Join(n.Settings.Data, "scratch") }

// listen comes early so that a taken port is told before any work is.
func (n *Node) listen(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", n.Settings.Listen)
	if err != nil {
		err = fmt.Errorf("RUNNERBEAN_LISTEN: %w", err)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w: another node or program has this address", err)
		}
		return &settings.Error{Err: err}
	}
	n.listener = listener
	if n.Settings.BaseURL == "" {
		n.Settings.BaseURL = "http://" + listener.Addr().String()
		if n.Settings.TLSCert != "" {
			n.Settings.BaseURL = "https://" + listener.Addr().String()
		}
	}
	return n.checkPrivate()
}

// checkPrivate refuses to sign URLs of what everybody may read on the pages.
func (n *Node) checkPrivate() error {
	if n.Settings.Results == settings.ResultsSigned && n.readOnly() != "" {
		return &settings.Error{Err: errors.New("with RUNNERBEAN_RESULTS=signed a node that others can reach needs tokens, or everybody would read the results on its pages: set RUNNERBEAN_TOKENS_FILE")}
	}
	return nil
}

func (n *Node) openRecords(ctx context.Context) error {
	var err error
	n.metrics = n.newMetrics()
	if n.tracer, err = tracing.FromEnvironment(ctx, tracing.Config{Node: n.Settings.Node, Instance: n.instance, Version: version.Get().Version, Logger: n.log}); err != nil {
		return err
	}
	if n.Ledger, err = ledger.Open(ctx, ledger.Config{DSN: n.Settings.Ledger, Lease: n.Settings.Lease, Observe: n.metrics.Ledger, Webhook: n.Settings.Webhook, BaseURL: n.Settings.BaseURL, Logger: n.log}); err != nil {
		return err
	}
	if n.Store, err = store.Open(n.Settings.Store); err != nil {
		return err
	}
	n.Store.Observe(n.metrics.Store)
	return nil
}

func (n *Node) openParts(context.Context) error {
	out, err := n.outbound()
	if err != nil {
		return err
	}
	n.gate = &intakeGate{n: n}
	n.machine = vitals.New(vitals.Config{Places: n.places()})
	servers := queue.Config{Addrs: n.Settings.Beanstalkd, Logger: n.log}
	n.dispatcher, err = dispatch.New(dispatch.Config{
		Queue: servers, Prefix: n.Settings.Prefix, Node: n.Settings.Node, Inbox: n.Settings.Inbox, Ledger: n.Ledger,
		Interval: n.reconcileEvery(), OnAction: n.metrics.Action, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.worker, err = worker.New(worker.Config{
		Queue: servers, Prefix: n.Settings.Prefix, Ledger: n.Ledger, Events: n.Ledger.Events, Store: n.Store,
		Node: n.Settings.Node, Instance: n.instance, BaseURL: n.Settings.BaseURL,
		Programs: n.Settings.Programs, Scratch: n.scratch(), Slots: n.Settings.Slots,
		Grace: max(n.Settings.Grace, 1), ShutdownGrace: noneBelowZero(n.Settings.ShutdownGrace),
		Timeout: n.Settings.Timeout, Attempts: n.Settings.Attempts, Outbound: out,
		Stall: n.Settings.Stall, MaxStdout: int64(n.Settings.MaxResult), MaxScratch: int64(n.Settings.MaxScratch),
		MaxMemory: int64(n.Settings.MaxMemory), MaxOpenFiles: n.Settings.MaxOpenFiles,
		Send:       n.dispatcher.Send,
		OnPrograms: func([]ledger.Program) { n.announce() }, OnEnded: n.ended, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.publisher, err = publisher.New(publisher.Config{
		Ledger: n.Ledger, Store: n.Store, BaseURL: n.Settings.BaseURL, Node: n.Settings.Node,
		Token: n.Settings.Token, TokensFile: n.Settings.TokensFile, ReadOnly: n.readOnly(), CORS: n.Settings.CORS,
		URLKeyFile: n.urlKeyFile(), TLSCert: n.Settings.TLSCert, TLSKey: n.Settings.TLSKey,
		Accept: n.dispatcher.Accept, Act: n.dispatcher.Act, Drain: n.gate.drain, Undrain: n.gate.undrain, Control: n.gate.control,
		Servers: n.dispatcher.Servers, Paused: n.dispatcher.Paused, Metrics: n.metrics.Handler(), Observe: n.metrics.Request,
		Ready: n.ready, Logger: n.log,
		Connections: func() int { return HTTPConnections(OpenFiles(), n.worker.Slots()) },
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
func (n *Node) readOnly() string {
	if n.Settings.Token != "" || n.Settings.TokensFile != "" {
		return ""
	}
	if listen, _, _ := net.SplitHostPort(n.listener.Addr().String()); !loopback(listen) {
		return "this node listens beyond loopback and has no tokens: set RUNNERBEAN_TOKENS_FILE to submit and cancel over HTTP"
	}
	if base, err := url.Parse(n.Settings.BaseURL); err != nil || !loopback(base.Hostname()) {
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
func (n *Node) urlKeyFile() string {
	if n.Settings.Results == settings.ResultsOpen {
		return ""
	}
	return n.Settings.URLKeyFile
}

// beatEvery is how often the heartbeat is renewed, and the reconciler looks.
func (n *Node) beatEvery() time.Duration { return min(n.Settings.Lease/4, 5*time.Second) }

func (n *Node) reconcileEvery() time.Duration {
	if !reconciles {
		return -1
	}
	return n.beatEvery()
}

// register announces the node before intake starts, so that a document for an
// installed program is never taken for a fault. Where another node has this name,
// it waits to see whether that one is alive.
func (n *Node) register(ctx context.Context) error {
	deadline := time.Now().Add(n.Settings.Lease + 2*time.Second)
	err := n.Ledger.Register(ctx, n.row())
	if errors.Is(err, ledger.ErrTwin) {
		n.log.Warn("another node of this name may be alive; waiting to see", "node", n.Settings.Node, "wait", n.Settings.Lease, "err", err)
	}
	for errors.Is(err, ledger.ErrTwin) && time.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(n.Settings.Lease / 10):
		}
		err = n.Ledger.Register(ctx, n.row())
	}
	if errors.Is(err, ledger.ErrTwin) {
		return fmt.Errorf("%w: give this one another name with RUNNERBEAN_NODE", err)
	}
	if err != nil || !reconciles {
		return err
	}
	return n.dispatcher.Recover(ctx)
}

func (n *Node) row() ledger.Node {
	return ledger.Node{
		Name: n.Settings.Node, Instance: n.instance, Home: n.home, BaseURL: n.Settings.BaseURL,
		Version: version.Get().Version, Slots: n.worker.Slots(), Programs: n.worker.Programs(),
	}
}

func (n *Node) announce() {
	select {
	case n.announced <- struct{}{}:
	default:
	}
}

// ready is what /readyz asks: whether there is room on the disks, beanstalkd
// answers and the ledger can be read.
func (n *Node) ready(ctx context.Context) error {
	if low := n.gate.low.Load(); low != nil {
		return errors.New(*low)
	}
	if err := n.diskFailure(); err != nil {
		return err
	}
	if _, err := n.Ledger.Counts(ctx); err != nil {
		return err
	}
	return n.dispatcher.Ping(ctx)
}

// Run serves until stop ends, then lets running jobs finish within the grace
// period; kill ends it at once. Results are served until the last job has ended.
func (n *Node) Run(stop, kill context.Context) error {
	n.log.Info("node is up", "node", n.Settings.Node, "url", n.Settings.BaseURL, "slots", n.Settings.Slots,
		"programs", names(n.worker.Programs()), "beanstalkd", strings.Join(n.Settings.Beanstalkd, ","))
	if err := n.gate.look(stop); err != nil {
		n.log.Warn("cannot ask what is drained or paused; nothing is taken until that is known", "node", n.Settings.Node, "err", err)
		n.worker.Hold(unknownDrains)
		n.dispatcher.Hold(unknownDrains)
	}
	n.announce() // the first heartbeat says at once how the machine does
	notify(daemon.SdNotifyReady)
	defer context.AfterFunc(stop, func() { notify(daemon.SdNotifyStopping) })()
	defer n.log.Info("node has ended", "node", n.Settings.Node)
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
func (n *Node) watchDisk(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.Ledger.Failed():
	case <-n.Store.Failed():
	}
	err := n.diskFailure()
	n.log.Error("the disk has failed this node; it ends, so that it is started again and opens its files anew", "node", n.Settings.Node, "err", err)
	return err
}

func (n *Node) diskFailure() error { return cmp.Or(n.Ledger.Err(), n.Store.Err()) }

// notify tells the service manager how the node stands, where there is one.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

func (n *Node) heartbeat() dispatch.Heartbeat {
	return dispatch.Heartbeat{
		Ledger: n.Ledger, Node: n.row(), Every: n.beatEvery(),
		Programs: n.worker.Programs, Slots: n.worker.Slots, Vitals: n.vitals, Changed: n.announced, Logger: n.log,
	}
}

// Close gives back what was opened, in reverse order.
func (n *Node) Close() error {
	errs := []error{n.tracer.Close()}
	if n.dispatcher != nil {
		errs = append(errs, n.dispatcher.Close())
	}
	if n.Store != nil {
		errs = append(errs, n.Store.Close())
	}
	if n.Ledger != nil {
		errs = append(errs, n.Ledger.Close())
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
