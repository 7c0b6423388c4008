package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

var errTodo = errors.New("ledger: not built yet")

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct{}

// Open opens the ledger and brings its schema up to date. Close it.
func Open(ctx context.Context, c Config) (*Ledger, error) { return nil, errTodo }

// Close answers what has been asked for already and closes the ledger.
func (l *Ledger) Close() error { return nil }

// Accept records documents in one transaction. What became of each is in the
// Accepted with the same index; the error is for all of them.
func (l *Ledger) Accept(ctx context.Context, entries []Entry) ([]Accepted, error) {
	return nil, errTodo
}

// MarkSent records that messages were put; it ignores jobs that are not queued any more.
func (l *Ledger) MarkSent(ctx context.Context, sent []Sent) error { return errTodo }

// Claim takes a queued job that is due to running; see [Claim]. ErrUnknown.
func (l *Ledger) Claim(ctx context.Context, id string, o Owner, programSHA256 string) (Claim, error) {
	return Claim{}, errTodo
}

// Report merges what a running program said; nil and empty fields leave what was there. ErrStale, ErrUnknown.
func (l *Ledger) Report(ctx context.Context, id string, attempt int, live Live) error { return errTodo }

// Finish ends an attempt and returns the jobs that are queued because of it. ErrStale, ErrUnknown.
func (l *Ledger) Finish(ctx context.Context, id string, attempt int, e Ending) (released []Record, err error) {
	return nil, errTodo
}

// Cancel ends a job that does not run and asks for the end of one that does. ErrFinal (with the record), ErrUnknown.
func (l *Ledger) Cancel(ctx context.Context, id, by string) (Record, error) { return Record{}, errTodo }

// Cancelling lists the running jobs of an instance whose end is asked for.
func (l *Ledger) Cancelling(ctx context.Context, instance string) ([]string, error) {
	return nil, errTodo
}

// Register announces a new instance of a node.
func (l *Ledger) Register(ctx context.Context, n Node) error { return errTodo }

// Beat renews an instance's heartbeat and replaces what it announces.
func (l *Ledger) Beat(ctx context.Context, instance string, programs []Program, slots int) error {
	return errTodo
}

// Leave says that an instance has ended in good order.
func (l *Ledger) Leave(ctx context.Context, instance string) error { return errTodo }

// RecoverScope says whose running jobs are lost: with Node, those of that
// node's instances other than Except; without, those of every instance whose
// heartbeat is older than the lease.
type RecoverScope struct {
	Node, Except string
	Limit        int // jobs in one call; default 256
}

// Recover ends the attempts of dead instances as lost.
func (l *Ledger) Recover(ctx context.Context, scope RecoverScope) ([]Recovered, error) {
	return nil, errTodo
}

// Unsent lists queued jobs, unchanged since before, that have no message or
// whose message went to a server instance that is not among servers.
func (l *Ledger) Unsent(ctx context.Context, servers []string, before time.Time, limit int) ([]Record, error) {
	return nil, errTodo
}

// Expire fails jobs that expired before they started, or that wait for a job
// that never came. It returns their ids.
func (l *Ledger) Expire(ctx context.Context, limit int) ([]string, error) { return nil, errTodo }

// Get returns one job. ErrUnknown.
func (l *Ledger) Get(ctx context.Context, id string) (Record, error) { return Record{}, errTodo }

// List returns one page of jobs, newest first, without Document and Live.Partial.
func (l *Ledger) List(ctx context.Context, f Filter) (Page, error) { return Page{}, errTodo }

// Position counts the queued jobs of the same program that come before a
// queued job. ok is false where it is not queued or the count is above 1,000.
func (l *Ledger) Position(ctx context.Context, id string) (n int, ok bool, err error) {
	return 0, false, errTodo
}

// Attempts lists a job's attempts, the first one first.
func (l *Ledger) Attempts(ctx context.Context, id string) ([]Attempt, error) { return nil, errTodo }

// Events lists the newest events of a job, or of all for "", newest first.
func (l *Ledger) Events(ctx context.Context, job string, limit int) ([]Event, error) {
	return nil, errTodo
}

// Note records an event. ID and At are filled in where they are missing.
func (l *Ledger) Note(ctx context.Context, e Event) error { return errTodo }

// Nodes lists the instances of nodes that the ledger knows.
func (l *Ledger) Nodes(ctx context.Context) ([]Node, error) { return nil, errTodo }

// Programs lists every program that any node ever announced, by name.
func (l *Ledger) Programs(ctx context.Context) ([]Program, error) { return nil, errTodo }

// Counts returns the number of jobs in each state.
func (l *Ledger) Counts(ctx context.Context) (map[jobs.State]int, error) { return nil, errTodo }

// OnChange calls f after each commit with the ids of the jobs that it changed.
// f must return quickly and must not call the ledger. remove ends it.
func (l *Ledger) OnChange(f func(ids []string)) (remove func()) { return func() {} }
