// Package checkpoint keeps what a program has saved in its folder checkpoint/, and restores it
// for the next attempt of the job.
//
// A checkpoint is one object of the store: a compressed tar of the folder. It is packed into a
// file of the node first, so that the program can go on soon, and its digest is known before
// anything is announced. What changes while it is packed is not kept.
package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// leastPause is the least time between the begins of two packings. Events in between are
// merged.
const leastPause = time.Second

// storeTries is how often an object is stored before the node gives up.
const storeTries = 3

var (
	// ErrStale is returned if the attempt may not record a checkpoint: it is not the newest
	// of its job, or the job is being reset.
	ErrStale = errors.New("the attempt is not the newest of its job any more, or the job is being reset")
	// ErrSame is returned by Last for the checkpoint with which the attempt began.
	ErrSame = errors.New("its checkpoint is the one with which it began")
)

// Config of a Keeper. All fields but Signal are required.
type Config struct {
	Ledger Ledger
	Store  Store
	Events Events
	// Job, Attempt and Node are of the attempt.
	Job     string
	Attempt int
	Node    string
	// Dir is the folder checkpoint/ of the attempt. Spool is the path of a file that does
	// not exist, on the same disk.
	Dir, Spool string
	// Limit bounds the files of a checkpoint together, in bytes.
	Limit int64
	// Log is the log of the program. It gets a line for a checkpoint that is not kept.
	Log io.Writer
	// Signal asks the program for a checkpoint, and reports whether it will get that. It must
	// not block. Nil: the program does not save on request.
	Signal func() bool
	// Guard calls a function on another goroutine than the caller's and handles its panic.
	Guard   func(func())
	Logger  *slog.Logger
	Backoff retry.Backoff // between tries to store an object
}

// Keeper keeps the checkpoints of one attempt. A nil Keeper keeps none.
type Keeper struct {
	cfg      Config
	ctx      context.Context // of packings that the program has asked for
	cancel   context.CancelFunc
	working  sync.WaitGroup
	requests requests
	ending   chan struct{} // is closed when no event comes any more

	mu                  sync.Mutex
	asked, busy, closed bool

	// One goroutine uses these at a time.
	restored string // digest of the checkpoint with which the attempt began
	newest   string // digest of the newest one
	told     string // the last line in the log
	events   int    // about checkpoints that are not kept
}

// New returns the Keeper of an attempt. The caller calls Abort at the end.
func New(cfg Config) *Keeper {
	k := &Keeper{cfg: cfg, requests: requests{signal: cfg.Signal}, ending: make(chan struct{})}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// Ask says that the program has saved a checkpoint. It returns at once. One packing runs at a
// time; what is asked meanwhile is one more.
func (k *Keeper) Ask() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	if k.asked = true; !k.busy {
		k.busy = true
		k.working.Go(func() { k.cfg.Guard(k.work) })
	}
}

// work packs as long as there is something to do.
func (k *Keeper) work() {
	for k.next() {
		began := time.Now()
		err := k.save(k.ctx)
		if k.ctx.Err() == nil {
			k.requests.answer(err)
		}
		if err != nil && k.ctx.Err() == nil {
			k.tell(err)
		}
		pause := time.NewTimer(leastPause - time.Since(began))
		select {
		case <-pause.C:
		case <-k.ending:
		case <-k.ctx.Done():
		}
		pause.Stop()
	}
}

func (k *Keeper) next() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy = k.asked && k.ctx.Err() == nil
	if k.asked = false; k.busy {
		k.requests.begin()
	}
	return k.busy
}

// maxEvents bounds the events of an attempt about checkpoints that are not kept.
const maxEvents = 3

// tell writes to the logs why a checkpoint is not kept, once in a row. The first ones are events
// of the job, too.
func (k *Keeper) tell(err error) {
	if err.Error() == k.told {
		return
	}
	k.told = err.Error()
	fmt.Fprintf(k.cfg.Log, "runnerbean: a checkpoint is not kept: %v\n", err)
	k.cfg.Logger.Warn("a checkpoint is not kept", "err", err)
	if k.events++; k.events > maxEvents || errors.Is(err, ErrStale) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.ctx), abandonTime)
	defer cancel()
	if err := k.record(ctx, eventlog.KindCheckpointNone, fmt.Sprintf("a checkpoint of attempt %d is not kept: %v", k.cfg.Attempt, err)); err != nil {
		k.cfg.Logger.Debug("an event is not recorded", "err", err)
	}
}

// Wait waits until what the program has asked for is done, or until ctx ends. No event may
// come after it.
func (k *Keeper) Wait(ctx context.Context) {
	if k == nil {
		return
	}
	defer context.AfterFunc(ctx, k.cancel)()
	k.close()
	k.working.Wait()
}

// Abort ends a packing that runs, and waits for its end. It may be called again.
func (k *Keeper) Abort() {
	if k == nil {
		return
	}
	k.cancel()
	k.close()
	k.working.Wait()
}

func (k *Keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.closed = true
		close(k.ending)
	}
}

// Last packs what a program has left that has ended, after Wait. The error is ErrSame,
// ErrStale, a *Refused, or that of the node.
func (k *Keeper) Last(ctx context.Context) error {
	if k == nil {
		return refuse("this node keeps no checkpoints")
	}
	k.Wait(ctx)
	err := k.save(ctx)
	if err == nil && k.newest == k.restored {
		err = ErrSame
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("the time was over before it was stored: %w", err)
	}
	if err != nil {
		k.tell(err)
	}
	return err
}

// save packs the folder, stores it and records it, unless the newest checkpoint is the same.
func (k *Keeper) save(ctx context.Context) error {
	p, err := pack(ctx, k.cfg.Dir, k.cfg.Spool, k.cfg.Limit)
	if err != nil {
		return err
	}
	defer p.file.Close()
	if p.sha256 == k.newest {
		return nil
	}
	number, ok, err := k.cfg.Ledger.Begin(ctx, k.cfg.Job, k.cfg.Attempt)
	if err != nil || !ok {
		return orStale(err)
	}
	c := checkpoints.Checkpoint{Job: k.cfg.Job, Number: number, Attempt: k.cfg.Attempt, SHA256: p.sha256, Size: p.size}
	key := store.CheckpointKey(c.Job, c.Attempt, c.Number)
	if err = k.store(ctx, key, &p); err == nil {
		if ok, err = k.cfg.Ledger.Record(ctx, c); err == nil && ok {
			k.newest, k.told = c.SHA256, ""
			k.cfg.Logger.Debug("a checkpoint is kept", "number", c.Number, "bytes", c.Size)
			return nil
		}
		if err == nil {
			k.remove(ctx, key)
		}
		err = orStale(err)
	}
	k.abandon(ctx, &c)
	return err
}

func orStale(err error) error {
	if err == nil {
		return ErrStale
	}
	return err
}

// store creates the object of a checkpoint.
func (k *Keeper) store(ctx context.Context, key string, p *packed) error {
	for try := 1; ; try++ {
		_, err := p.file.Seek(0, io.SeekStart)
		if err == nil {
			_, err = k.cfg.Store.CreateFrom(ctx, key, reader{ctx, p.file})
		}
		if errors.Is(err, fs.ErrExist) { // a try that seemed to fail did not
			err = get(ctx, k.cfg.Store, key, io.Discard, p.size, p.sha256)
		}
		if err == nil || try == storeTries || errors.Is(err, store.ErrReopen) || !retry.Sleep(ctx, k.cfg.Backoff.Wait(try)) {
			return err
		}
	}
}

// remove removes an object that may not be recorded any more. Its row may be gone already, so
// that nothing else would remove it before the job is deleted.
func (k *Keeper) remove(ctx context.Context, key string) {
	if err := k.cfg.Store.Delete(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.cfg.Logger.Warn("the object of a checkpoint that is not recorded is left in the store until its job is deleted", "key", key, "err", err)
	}
}

// abandonTime bounds the write to the ledger about a checkpoint that is not recorded.
const abandonTime = 5 * time.Second

// abandon drops a checkpoint that was begun. If it fails, retention drops it later.
func (k *Keeper) abandon(ctx context.Context, c *checkpoints.Checkpoint) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	if err := k.cfg.Ledger.Abandon(ctx, c.Job, c.Number); err != nil {
		k.cfg.Logger.Debug("a checkpoint that is not kept is not dropped yet", "number", c.Number, "err", err)
	}
}

// Kept reports whether the job has a checkpoint, after Wait or Abort.
func (k *Keeper) Kept() bool { return k != nil && k.newest != "" }

// Done drops the checkpoints of a job that has succeeded. If it fails, retention does it.
func (k *Keeper) Done(ctx context.Context) {
	if k == nil || k.newest == "" {
		return
	}
	if err := k.cfg.Ledger.Done(ctx, k.cfg.Job); err != nil {
		k.cfg.Logger.Debug("the checkpoints of a job that has succeeded are not dropped yet", "err", err)
	}
}

// note records an event of the job, and writes it to the log of the program.
func (k *Keeper) note(ctx context.Context, message string) error {
	fmt.Fprintf(k.cfg.Log, "runnerbean: %s\n", message)
	k.cfg.Logger.Warn(message, "event", eventlog.KindCheckpoint)
	return k.record(ctx, eventlog.KindCheckpoint, message)
}

// record records an event of the job.
func (k *Keeper) record(ctx context.Context, kind, message string) error {
	if len(message) > fault.MaxMessage {
		message = message[:fault.MaxMessage]
	}
	return k.cfg.Events.Note(ctx, eventlog.Event{Kind: kind, Job: k.cfg.Job, Node: k.cfg.Node, Message: message})
}
