// Package dispatch turns job documents into messages on run tubes. Documents
// arrive on the inbox tube and by [Dispatcher.Accept]. The ledger records them. A
// message on a run tube is only a hint that a job may be runnable. The reconciler
// repairs what a crash left undone.
package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// Config of a Dispatcher. The zero value of a field means its default.
type Config struct {
	// Queue names the beanstalkd servers. Required.
	Queue queue.Config
	// Prefix of all tube names. Default "runnerbean".
	Prefix string
	// Node is this node's name. A node with a name has an inbox of its own.
	Node string
	// Inbox says where the node takes documents from: InboxShared (default) or
	// InboxNode, which needs a Node.
	Inbox string
	// Ledger is the record of jobs; the caller closes it. Required.
	Ledger *ledger.Ledger
	// Batch is how many messages of an inbox are reserved at once, and how many
	// documents are accepted in one transaction unless one message has more. Default
	// 128, so that even the largest messages together fit into memory.
	Batch int
	// Interval is the time between two rounds of the reconciler. Default 5 s. A
	// negative value switches the reconciler off, for tests that show its purpose.
	Interval time.Duration
	// OnAction is called with what the reconciler has done, and to how many jobs:
	// "lost", "expired", "resent" or "found" (a message survived a restart of its
	// server). Default: nothing is called.
	OnAction func(kind string, n int)
	// Logger. Default slog.Default().
	Logger *slog.Logger

	decode func(document []byte) (jobs.Job, error) // default jobdoc.Decode
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Ledger == nil {
		return cfg, errors.New("dispatch: Config.Ledger is required")
	}
	cfg.Prefix = cmp.Or(cfg.Prefix, "runnerbean")
	cfg.Inbox = cmp.Or(cfg.Inbox, InboxShared)
	// A server with option -z may take documents of any size that is allowed.
	cfg.Queue.MaxBody = cmp.Or(cfg.Queue.MaxBody, jobs.MaxDocument)
	cfg.Batch = cmp.Or(cfg.Batch, 128)
	cfg.Interval = cmp.Or(cfg.Interval, 5*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if cfg.decode == nil {
		cfg.decode = jobdoc.Decode
	}
	if cfg.OnAction == nil {
		cfg.OnAction = func(string, int) {}
	}
	if cfg.Inbox != InboxShared && cfg.Inbox != InboxNode || cfg.Inbox == InboxNode && cfg.Node == "" {
		return cfg, fmt.Errorf("dispatch: Config.Inbox is %q for node %q", cfg.Inbox, cfg.Node)
	}
	return cfg, nil
}

// Dispatcher accepts documents and sends messages for them. Run serves the inbox
// and the reconciler. The other methods may be called at any time before Close.
type Dispatcher struct {
	cfg        Config
	producer   *queue.Producer
	sender     *sender
	documents  *documents
	gate       *intakeGate
	intake     *intake
	paused     *pauseList
	health     *serverHealth
	reconciler *reconciler
}

// New checks the configuration. It does not wait for beanstalkd.
func New(cfg Config) (*Dispatcher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	tubes := tubes{prefix: cfg.Prefix, ledger: cfg.Ledger.ID(), node: cfg.Node, inbox: cfg.Inbox}
	for _, tube := range tubes.inboxes() {
		if err := queue.ValidTube(tube); err != nil {
			return nil, fmt.Errorf("dispatch: %w", err)
		}
	}
	producer, err := queue.NewProducer(cfg.Queue)
	if err != nil {
		return nil, fmt.Errorf("dispatch: %w", err)
	}
	events := &eventRecorder{ledger: cfg.Ledger, node: cfg.Node, log: cfg.Logger, onAction: cfg.OnAction}
	programs := &knownPrograms{ledger: cfg.Ledger}
	sender := &sender{ledger: cfg.Ledger, producer: producer, tubes: tubes}
	documents := &documents{
		ledger: cfg.Ledger, accept: acceptOf(cfg.Ledger), decode: cfg.decode, programs: programs, sender: sender, events: events,
	}
	gate := newIntakeGate()
	paused := &pauseList{}
	shared := &sharedInboxes{ledger: cfg.Ledger, producer: producer, tubes: tubes, events: events}
	orphaned := &orphanedInboxes{ledger: cfg.Ledger, producer: producer, prefix: cfg.Prefix, events: events}
	overdue := &overdueMessages{ledger: cfg.Ledger, producer: producer, events: events}
	resender := &resender{ledger: cfg.Ledger, producer: producer, sender: sender, events: events}
	return &Dispatcher{
		cfg: cfg, producer: producer, sender: sender, documents: documents, gate: gate, paused: paused,
		intake: &intake{queue: cfg.Queue, batch: cfg.Batch, tubes: tubes, gate: gate, documents: documents, events: events},
		health: &serverHealth{
			addrs: cfg.Queue.Addrs, producer: producer, ledger: cfg.Ledger, tubes: tubes, programs: programs,
			paused: paused, shared: shared, orphaned: orphaned, overdue: overdue, events: events,
		},
		reconciler: &reconciler{
			interval: cfg.Interval, ledger: cfg.Ledger, producer: producer, sender: sender, resender: resender,
			check: &messageCheck{
				ledger: cfg.Ledger, producer: producer, tubes: tubes, resender: resender, overdue: overdue, events: events,
				next: map[queueName]ledger.Placed{}, suspects: map[string]suspect{}, now: time.Now,
			},
			shared:   shared,
			orphaned: orphaned,
			oldTubes: &oldRunTubes{queue: cfg.Queue, prefix: cfg.Prefix, ledger: cfg.Ledger, producer: producer, events: events},
			paused:   &pausedTubes{list: paused, producer: producer, tubes: tubes, events: events},
			events:   events,
		},
	}, nil
}

// Run serves the inboxes of every beanstalkd server and reconciles until ctx ends.
// It returns when both have ended.
func (d *Dispatcher) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, addr := range d.cfg.Queue.Addrs {
		group.Go(func() error { return d.intake.serve(ctx, addr) })
	}
	if d.cfg.Interval > 0 {
		group.Go(func() error { d.reconciler.run(ctx); return nil })
	}
	return group.Wait()
}

// Close ends the connections to beanstalkd.
func (d *Dispatcher) Close() error {
	err := d.producer.Close()
	d.health.close()
	return err
}

// Hold stops the intake of documents for a reason, or allows it again if reason is
// "". While it is stopped, inbox jobs stay where they are, and Accept returns a
// *[Held]. Jobs that are queued run.
func (d *Dispatcher) Hold(reason string) { d.gate.set(reason) }

// Send puts a message on the run tube of each queued record and marks it as sent.
// A message that could not be put stays unmarked, and the reconciler sends it
// later.
func (d *Dispatcher) Send(ctx context.Context, records []ledger.Record) error {
	return d.sender.send(ctx, records)
}

// Recover takes back the jobs that earlier instances of this node left running,
// after ledger.Register has declared those instances dead.
func (d *Dispatcher) Recover(ctx context.Context) error {
	for {
		lost, err := d.cfg.Ledger.Recover(ctx, maxRound)
		if err != nil {
			return err
		}
		for _, r := range lost {
			d.cfg.Logger.Warn("job was running when its node ended; it is taken back", "job", r.ID, "state", r.State)
		}
		if len(lost) > 0 {
			d.cfg.OnAction("lost", len(lost))
		}
		if len(lost) < maxRound {
			return nil
		}
	}
}

// Forget takes back the jobs of dead nodes and then removes a node from the ledger; see
// [nodes.Registry.Forget].
func (d *Dispatcher) Forget(ctx context.Context, node, by string) (int, error) {
	if err := d.Recover(ctx); err != nil {
		return 0, err
	}
	return d.cfg.Ledger.Nodes.Forget(ctx, node, by)
}

// Ping returns nil if at least one beanstalkd server answers.
func (d *Dispatcher) Ping(ctx context.Context) error {
	servers, err := d.producer.Servers(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range servers {
		if s.Err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("beanstalkd %s: %w", s.Addr, s.Err))
	}
	return errors.Join(errs...)
}

// Servers returns the state of each beanstalkd server, in the order of
// Config.Queue. The answer is at most some seconds old, or older if a server does
// not answer.
func (d *Dispatcher) Servers(ctx context.Context) []api.Server { return d.health.servers(ctx) }

// Paused returns the paused tubes of this system on all servers, as of the last look.
// In its next round the reconciler resumes those from which this node takes messages.
func (d *Dispatcher) Paused() (list []api.PausedTube) {
	for _, addr := range d.cfg.Queue.Addrs {
		list = append(list, d.paused.of(addr)...)
	}
	return list
}
