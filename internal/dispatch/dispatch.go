// Package dispatch turns job documents into messages on run tubes. Documents
// come in by two doors, the inbox tube and [Dispatcher.Accept]; the ledger
// records them; a message on a run tube is only a hint that a job may be
// runnable. The reconciler puts right what a crash left undone.
package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// Config of a Dispatcher.
type Config struct {
	// Queue names the beanstalkd servers. Required.
	Queue queue.Config
	// Prefix of all tube names. Default "runnerbean".
	Prefix string
	// Node is this node's name: it has an inbox of its own besides the common one.
	Node string
	// Inbox says what the node takes documents from: InboxShared (default) or
	// InboxNode, which wants a Node.
	Inbox string
	// Ledger is the record of jobs; the caller closes it. Required.
	Ledger *ledger.Ledger
	// Batch is how many documents are accepted in one transaction. Default 128,
	// so that even the largest documents together fit into memory.
	Batch int
	// Interval between two rounds of the reconciler. Default 5 s; a negative one
	// switches it off, for tests that show what it is for.
	Interval time.Duration
	// OnAction is told what the reconciler has done, and to how many jobs: "lost",
	// "expired", "resent" or "found", its message having outlived a restart.
	// Default: nobody is.
	OnAction func(kind string, n int)
	// Logger. Default slog.Default().
	Logger *slog.Logger

	decode func(document []byte) (jobs.Job, error) // default jobs.Decode
}

// Dispatcher accepts documents and sends hints. Run serves the inbox and the
// reconciler; Accept and Send may be called at any time before Close.
type Dispatcher struct {
	cfg      Config
	log      *slog.Logger
	producer *queue.Producer
	known    programs
	hold     *hold
	health   health
	survey   survey
	unmarked unmarked
	pauses   pauses
	panics   panics.Limit
}

// New checks the configuration. It does not wait for beanstalkd.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Ledger == nil {
		return nil, errors.New("dispatch: Config.Ledger is required")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "runnerbean"
	}
	if cfg.Queue.MaxBody == 0 {
		// A server with option -z may take all that a document may be.
		cfg.Queue.MaxBody = jobs.MaxDocument
	}
	if cfg.Batch == 0 {
		cfg.Batch = 128
	}
	if cfg.Interval == 0 {
		cfg.Interval = 5 * time.Second
	}
	if cfg.decode == nil {
		cfg.decode = jobs.Decode
	}
	if cfg.OnAction == nil {
		cfg.OnAction = func(string, int) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Inbox == "" {
		cfg.Inbox = InboxShared
	}
	if cfg.Inbox != InboxShared && cfg.Inbox != InboxNode || cfg.Inbox == InboxNode && cfg.Node == "" {
		return nil, fmt.Errorf("dispatch: Config.Inbox is %q for node %q", cfg.Inbox, cfg.Node)
	}
	d := &Dispatcher{cfg: cfg, log: cfg.Logger, known: programs{ledger: cfg.Ledger}, hold: newHold()}
	for _, tube := range d.inboxes() {
		if err := queue.ValidTube(tube); err != nil {
			return nil, fmt.Errorf("dispatch: %w", err)
		}
	}
	var err error
	if d.producer, err = queue.NewProducer(cfg.Queue); err != nil {
		return nil, fmt.Errorf("dispatch: %w", err)
	}
	d.survey.old.Dispatcher = d
	return d, nil
}

// Hold shuts both doors for a reason, or opens them again where that is empty:
// inbox jobs stay where they are, Accept returns a *[Held]. What is queued runs.
func (d *Dispatcher) Hold(reason string) { d.hold.set(reason) }

// Close ends the connections to beanstalkd.
func (d *Dispatcher) Close() error {
	err := d.producer.Close()
	d.health.stopLooking()
	return err
}

// Run serves the inboxes of every beanstalkd server and reconciles until ctx
// ends; it returns when both have ended.
func (d *Dispatcher) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, addr := range d.cfg.Queue.Addrs {
		group.Go(func() error { return d.serveInbox(ctx, addr) })
	}
	if d.cfg.Interval > 0 {
		group.Go(func() error { return d.reconcile(ctx) })
	}
	return group.Wait()
}

// Send puts a message on the run tube of each queued record and marks it as
// sent. What could not be put stays unmarked, and the reconciler sends it later.
func (d *Dispatcher) Send(ctx context.Context, records []ledger.Record) error {
	messages := make([]queue.Message, 0, len(records))
	ids := make([]string, 0, len(records))
	for _, r := range records {
		if r.State != jobs.Queued {
			continue
		}
		messages = append(messages, d.message(r))
		ids = append(ids, r.ID)
	}
	if len(messages) == 0 {
		return nil
	}
	receipts, putErr := d.producer.PutAll(ctx, messages)
	sent := make([]ledger.Sent, 0, len(receipts))
	for i, r := range receipts {
		if r.ID != 0 {
			sent = append(sent, ledger.Sent{ID: ids[i], Server: r.Server, Message: r.ID})
		}
	}
	return errors.Join(putErr, d.mark(ctx, sent))
}

// runTube is the tube of this ledger's jobs of a program.
func (d *Dispatcher) runTube(program string) string {
	return queue.RunTube(d.cfg.Prefix, d.cfg.Ledger.ID(), program)
}

func (d *Dispatcher) message(r ledger.Record) queue.Message {
	body, err := json.Marshal(struct {
		ID      string `json:"id"`
		Program string `json:"program"`
	}{r.ID, r.Program})
	if err != nil {
		panic(err) // strings always marshal
	}
	m := queue.Message{
		Tube: d.runTube(r.Program), Body: body,
		Priority: r.Priority, TTR: queue.RunTTR,
	}
	m.Delay = r.Wait(time.Now())
	return m
}

// Ping returns nil where at least one beanstalkd server answers.
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
