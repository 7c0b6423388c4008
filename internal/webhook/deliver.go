package webhook

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
)

const (
	// maxConcurrent is the largest number of hosts that are served at one time.
	maxConcurrent = 16
	// batch is the largest number of hooks that one read of the outbox leases.
	batch = 64
	// lease is how long a leased hook is kept from other nodes. It is longer than the
	// wait in the queue of the host, one try and the write of its outcome together.
	lease = 5 * time.Minute
	// hostTime is how long one host is served before other hosts may have its slot.
	hostTime = 5 * time.Second
	// stopTime is how long the tries under way may go on when the node stops.
	stopTime = 3 * time.Second
)

// Deliverer delivers what is in an outbox. Several processes may share one outbox.
type Deliverer struct {
	cfg      Config
	requests *requester
	outcomes outcomes
	hosts    hosts
	slots    chan struct{} // holds one value for each host that is served
	tries    sync.WaitGroup
}

// New checks the configuration. Run does the work.
func New(cfg Config) (*Deliverer, error) {
	if cfg.Outbox == nil || cfg.Owner == "" || len(cfg.Keys) == 0 || cfg.ResultURL == nil || cfg.Document == nil {
		return nil, errors.New("webhook: Config.Outbox, Owner, Keys, ResultURL and Document are required")
	}
	cfg = cfg.withDefaults()
	return &Deliverer{
		cfg: cfg, requests: newRequester(cfg), outcomes: outcomes{cfg}, hosts: newHosts(), slots: make(chan struct{}, maxConcurrent),
	}, nil
}

// SetKeys replaces Config.Keys, and may be called at any time.
func (d *Deliverer) SetKeys(keys [][]byte) { d.requests.keys.Store(&keys) }

// Run delivers until ctx ends, and returns when the tries under way have ended.
func (d *Deliverer) Run(ctx context.Context) error {
	defer d.requests.client.CloseIdleConnections()
	defer d.tries.Wait()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, cancel) })()
	ticker := time.NewTicker(d.cfg.Every)
	defer ticker.Stop()
	for {
		for ctx.Err() == nil && d.round(ctx, work) == batch {
		}
		select {
		case <-ctx.Done():
			d.tries.Wait() // before cancel
			return nil
		case <-ticker.C:
		}
	}
}

// round leases the hooks that are due and starts to deliver them. It returns their
// number.
func (d *Deliverer) round(ctx, work context.Context) int {
	var list []Hook
	err := panics.Call(func() (err error) { list, err = d.cfg.Outbox.Due(ctx, d.cfg.Owner, batch, lease); return err })
	if err != nil {
		if ctx.Err() == nil {
			d.cfg.Logger.Warn("cannot ask for the webhooks that are due", "err", err)
		}
		return 0
	}
	for _, h := range list {
		if caught := panics.Catch(func() { d.start(ctx, work, h) }); caught != nil {
			d.outcomes.caught(work, h, caught)
		}
	}
	return len(list)
}

// start starts to deliver one hook, or puts it off if its host or all slots are
// busy. It does not wait for a slow host.
func (d *Deliverer) start(ctx, work context.Context, h Hook) {
	name := hostOf(h.URL)
	next, wait := d.hosts.enter(name, h, time.Now())
	switch {
	case wait > 0:
		d.outcomes.putOff(work, h, wait)
		return
	case next == nil:
		return // it waits in the queue of its host
	}
	select {
	case d.slots <- struct{}{}:
	default:
		_, left := d.hosts.next(name, true, time.Now())
		d.putOff(work, name, append(left, h))
		return
	}
	d.tries.Go(func() {
		defer func() { <-d.slots }()
		d.serve(ctx, work, name, h)
	})
}

// serve delivers the hooks of one host one after the other, for at most hostTime. If
// ctx ends, the remaining hooks are due again when their leases end.
func (d *Deliverer) serve(ctx, work context.Context, name string, h Hook) {
	end := time.Now().Add(hostTime)
	for next, left := &h, []Hook(nil); next != nil; {
		began := time.Now()
		slow := false
		if caught := panics.Catch(func() { slow = d.deliver(work, *next) }); caught != nil {
			d.outcomes.caught(work, *next, caught)
		}
		now := time.Now()
		d.hosts.tried(name, slow, now.Sub(began), now)
		next, left = d.hosts.next(name, ctx.Err() != nil || now.After(end), now)
		if ctx.Err() == nil {
			d.putOff(work, name, left)
		}
	}
}

// deliver makes one try and records its outcome. It reports whether the host did
// not answer in time.
func (d *Deliverer) deliver(ctx context.Context, h Hook) (slow bool) {
	err := d.requests.send(ctx, h)
	// The outcome is written even if the node stops at this moment.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Timeout)
	defer cancel()
	return d.outcomes.sent(ctx, h, err)
}

// putOff postpones hooks that waited in the queue of their host.
func (d *Deliverer) putOff(ctx context.Context, name string, list []Hook) {
	for _, h := range list {
		d.outcomes.putOff(ctx, h, d.hosts.again(name, time.Now()))
	}
}
