package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
	"github.com/runnerbean/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/tracing"
	"github.com/runnerbean/runnerbean/internal/vitals"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher"
	"github.com/runnerbean/runnerbean/worker"
)

// Open opens everything that a node needs, and queues the jobs again that its last
// instance left running. The caller calls Close.
func Open(ctx context.Context, set settings.Settings, log Log) (*Node, error) {
	if log.Dropped == nil {
		log.Dropped = func() (int64, time.Time) { return 0, time.Time{} }
	}
	warning, err := CheckLimits(set)
	if err != nil {
		return nil, err
	}
	if warning != "" {
		log.Warn(warning)
	}
	n := &Node{set: set, instance: jobs.NewID(), log: log, announced: make(chan struct{}, 1)}
	for _, open := range []func(context.Context) error{n.openFolders, n.listen, n.openRecords, n.openParts, n.register} {
		if err := open(ctx); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

// openFolders makes the folders and takes the lock, which proves that no other
// instance of this node is alive.
func (n *Node) openFolders(context.Context) error {
	for _, folder := range []string{n.set.Data, n.scratch()} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("data folder: %w (see RUNNERBEAN_DATA)", err)
		}
	}
	if err := os.MkdirAll(n.set.Programs, 0o755); err != nil {
		return fmt.Errorf("programs folder: %w: make it (sudo install -d %s) or set RUNNERBEAN_PROGRAMS", err, n.set.Programs)
	}
	if exposed := n.set.ExposedPrograms(); exposed != "" {
		n.log.Warn(exposed, "do", settings.MovePrograms)
	}
	var err error
	if n.lock, err = lockFolder(n.set.Data); err != nil {
		return err
	}
	n.identity, err = dataIdentity(n.set.Data)
	return err
}

// listen takes the port before any work is taken, so that a port in use is an error
// at start.
func (n *Node) listen(ctx context.Context) error {
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
	return checkPrivate(n.set, listener.Addr())
}

func (n *Node) openRecords(ctx context.Context) error {
	known, err := storepair.Look(ctx, n.set)
	if err == nil {
		err = known.Fault()
	}
	if err != nil {
		return err // before anything is created in a folder of others
	}
	n.metrics = n.newMetrics()
	if n.tracer, err = tracing.FromEnvironment(ctx, tracing.Config{Node: n.set.Node, Instance: n.instance, Version: version.Get().Version, Logger: n.log.Logger}); err != nil {
		return err
	}
	if err := n.openLedger(ctx); err != nil {
		return err
	}
	if n.store, err = store.Open(ctx, n.set.Store); err != nil {
		return fmt.Errorf("%w (see RUNNERBEAN_STORE)", err)
	}
	n.store.Observe(n.metrics.Store)
	keepCopies(n.store, n.set, n.log.Logger)
	n.storeID, err = storepair.Claim(ctx, n.ledger, n.store)
	return err
}

func (n *Node) openParts(ctx context.Context) error {
	out, err := outboundConfig(n.set, n.listener.Addr())
	if err != nil {
		return err
	}
	n.disks = &disks{set: n.set, ledger: n.ledger, free: freeAt, spare: n.store.Copies().Clear, log: n.log.Logger}
	n.machine = vitals.New(vitals.Config{Places: places(n.set, n.scratch(), n.disks.reusable)})
	servers := queue.Config{Addrs: n.set.Beanstalkd, Logger: n.log.Logger}
	if n.dispatcher, err = n.newDispatcher(servers); err != nil {
		return err
	}
	if n.worker, err = n.newWorker(servers, out); err != nil {
		return err
	}
	n.batches = batch.New(batch.Config{Ledger: n.ledger, Dispatcher: n.dispatcher, Store: n.store, Node: n.set.Node, Instance: n.instance, Logger: n.log.Logger})
	n.gate = &intakeGate{
		node: n.set.Node, slots: n.set.Slots, ledger: n.ledger, worker: n.worker, dispatcher: n.dispatcher, batches: n.batches,
		lowDisk: n.disks.low, apart: n.apart, announce: n.announce, maxSlots: func() int { return readLimits(len(n.set.Beanstalkd)).slots() }, log: n.log.Logger,
	}
	if n.webhookKeys, err = openWebhookKeys(ctx, n.set, n.ledger.Pool, n.log.Logger); err != nil {
		return err
	}
	if n.publisher, err = n.newPublisher(); err != nil {
		return err
	}
	n.webhooks, err = n.newWebhooks(out)
	return err
}

func (n *Node) newDispatcher(servers queue.Config) (*dispatch.Dispatcher, error) {
	interval := n.heartbeatInterval()
	if !reconciles {
		interval = -1
	}
	return dispatch.New(dispatch.Config{
		Queue: servers, Prefix: n.set.Prefix, Node: n.set.Node, Inbox: n.set.Inbox, Ledger: n.ledger,
		Interval: interval, OnAction: n.metrics.Action, Logger: n.log.Logger,
	})
}

func (n *Node) newWorker(servers queue.Config, out outbound.Config) (*worker.Worker, error) {
	shutdownGrace := n.set.ShutdownGrace
	if shutdownGrace == 0 {
		shutdownGrace = -1 // the worker takes 0 for its default
	}
	cfg := worker.Config{
		Queue: servers, Prefix: n.set.Prefix, Ledger: n.ledger, Events: n.ledger.Events, Nodes: n.ledger.Nodes, Queues: n.ledger.Queues, Store: n.store,
		Checkpoints: n.ledger.Checkpoints, Packages: n.ledger.Packages, Counters: n.ledger.Counters, OnCounted: n.metrics.Counted, Results: n.ledger.Results, Published: published.New(n.ledger.Results, n.store), LedgerResults: int(n.set.LedgerResults), Node: n.set.Node, Instance: n.instance, BaseURL: n.set.BaseURL,
		Programs: n.set.Programs, Scratch: n.scratch(), Unreported: filepath.Join(n.set.Data, "unreported"), Slots: n.set.Slots,
		Grace: max(n.set.Grace, 1), ShutdownGrace: shutdownGrace,
		Timeout: n.set.Timeout, Attempts: n.set.Attempts, Outbound: out,
		Stall: n.set.Stall, MaxStdout: int64(n.set.MaxResult), MaxScratch: int64(n.set.MaxScratch),
		MaxMemory: int64(n.set.MaxMemory), MaxOpenFiles: n.set.MaxOpenFiles,
		Send: n.dispatcher.Send, Enqueue: enqueuer(n.ledger, n.dispatcher),
		OnPrograms: func([]nodes.Program) { n.announce() }, OnTrouble: n.announce, OnEnded: n.attemptEnded, Logger: n.log.Logger,
	}
	if store.IsBucket(n.set.Store) {
		cfg.Logs = n.ledger.Logs // objects of a bucket cannot grow
	}
	return worker.New(cfg)
}

// enqueuer returns what records a job that the program of another one, parent, has made. It
// has the submitter of the parent.
func enqueuer(l *ledger.Ledger, d *dispatch.Dispatcher) func(ctx context.Context, parent string, document []byte) error {
	return func(ctx context.Context, parent string, document []byte) error {
		submitter, err := l.Submitter(ctx, parent)
		if err != nil {
			return err
		}
		accepted, err := d.Accept(ctx, [][]byte{document}, submitter)
		if err != nil {
			return err
		}
		return accepted[0].Err
	}
}

func (n *Node) newPublisher() (*publisher.Publisher, error) {
	urlKeyFile := n.set.URLKeyFile
	if n.set.Results == settings.ResultsOpen {
		urlKeyFile = "" // the setting is for the command line
	}
	proxies, err := n.set.ProxyNetworks()
	if err != nil {
		return nil, err
	}
	return publisher.New(publisher.Config{
		Proxies: proxies,
		Ledger:  n.ledger, Store: n.store, BaseURL: n.set.BaseURL, Node: n.set.Node,
		Token: n.set.Token, TokensFile: n.set.TokensFile, ReadOnly: readOnly(n.set, n.listener.Addr()), CORS: n.set.CORS, NoFastResults: !n.set.FastResults,
		URLKeyFile: urlKeyFile, TLSCert: n.set.TLSCert, TLSKey: n.set.TLSKey,
		Uploads: n.scratch(), Room: n.disks.noRoom, Accept: n.accept, Act: n.dispatcher.Act, Revive: n.dispatcher.Revive, Apart: n.apart, Drain: n.gate.drain, Undrain: n.gate.undrain, Control: n.gate.control, Forget: n.dispatcher.Forget,
		Servers: n.dispatcher.Servers, Paused: n.dispatcher.Paused, Metrics: n.metrics.Handler(), Observe: n.metrics.Request,
		Ready: n.ready, Logger: n.log.Logger,
		Connections: func() int { return HTTPConnections(OpenFiles(), n.worker.Slots(), len(n.set.Beanstalkd)) },
	})
}

// register records the node before intake starts, so that intake knows the installed
// programs. Where the ledger has a node of this name on another data folder,
// register waits until that node is dead for sure, by the lease of that node.
func (n *Node) register(ctx context.Context) error {
	if err := checkPrefix(ctx, n.ledger.Nodes, n.set); err != nil {
		return err
	}
	err := n.ledger.Nodes.Register(ctx, n.row())
	var twin *nodes.TwinError
	if errors.As(err, &twin) {
		wait := twin.Lease + 2*time.Second
		n.log.Warn("another node of this name may be alive; waiting to see", "node", n.set.Node, "wait", wait, "err", err)
		for end := time.Now().Add(wait); errors.As(err, &twin) && time.Now().Before(end); {
			if !retry.Sleep(ctx, min(twin.Lease, n.set.Lease)/10) {
				return ctx.Err()
			}
			err = n.ledger.Nodes.Register(ctx, n.row())
		}
	}
	if errors.As(err, &twin) {
		return fmt.Errorf("%w: give this one another name with RUNNERBEAN_NODE", err)
	}
	if err == nil {
		err = logDifferences(ctx, n.ledger.Nodes, n.log.Logger)
	}
	if err != nil || !reconciles {
		return err
	}
	return n.dispatcher.Recover(ctx)
}

// Close closes what Open opened, in reverse order.
func (n *Node) Close() error {
	errs := []error{n.tracer.Close()}
	if n.dispatcher != nil {
		errs = append(errs, n.dispatcher.Close())
	}
	if n.disks != nil {
		n.disks.close()
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
