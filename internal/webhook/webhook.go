// Package webhook tells URLs that jobs have come to their end, and puts their final
// documents where those want them. What is to be told is in the ledger's outbox, in
// which it was written together with the end of the job; so it is told at least once,
// whatever is killed and whenever.
package webhook

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/panics"
)

const (
	// maxTogether is how many are told at one time, perHost of them by one host.
	maxTogether = 16
	perHost     = 2
	// batch is how many are taken out of the outbox at once.
	batch = 64
	// lease is how long a hook that was taken is kept from others. It is longer
	// than the time in line, one try and the write of its outcome together.
	lease = 5 * time.Minute
	// maxInLine is how long a hook waits for its turn at a host.
	maxInLine = 2 * time.Minute
	// turnTime is how long one host is told before others may have the room.
	turnTime = 5 * time.Second
	// lastMoment is what tries under way have left when the node stops.
	lastMoment = 3 * time.Second
)

// Hook is the end of a job that a URL is to be told of.
type Hook = outbox.Hook

// Outbox is the ledger.
type Outbox interface {
	// Due takes at most limit that are due; for the lease nobody else gets them.
	Due(ctx context.Context, owner string, limit int, lease time.Duration) ([]Hook, error)
	Done(ctx context.Context, h Hook) error
	// Obsolete forgets a delivery whose job goes on.
	Obsolete(ctx context.Context, h Hook) error
	// Failed puts one off until next, or gives it up with an event.
	Failed(ctx context.Context, h Hook, next time.Time, message string, giveUp bool) error
}

// Config of a Deliverer. The zero value of a field means its default.
type Config struct {
	// Outbox has what is to be told. Required.
	Outbox Outbox
	// Owner is the id of this instance. Required.
	Owner string
	// Key signs, see jobs.WebhookKey. Required.
	Key []byte
	// ResultURL is where the result of a job is read. ErrNotYet. Required.
	ResultURL func(ctx context.Context, job string) (string, error)
	// Document is the final document of a job as it now stands, and its size in
	// bytes; the caller closes it. ErrGoesOn. Required.
	Document func(ctx context.Context, job string) (io.ReadCloser, int64, error)
	// Outbound says who may be told.
	Outbound outbound.Config
	// Every is how often the outbox is looked into. Default 1 s.
	Every time.Duration
	// Timeout bounds one try. Default 15 s.
	Timeout time.Duration
	// MaxAge is how long after the job's end it is tried again. Default 24 h.
	MaxAge time.Duration
	// Base and Most bound the wait before another try, which doubles.
	// Defaults 5 s and 4 h.
	Base, Most time.Duration
	// Jitter returns a number in [0, 1) that spreads waits. Default random.
	Jitter func() float64
	// Observe is told of each try, the Hook's kind and "delivered", "failed" or
	// "given_up". Default: nobody is.
	Observe func(kind, outcome string)
	// Logger. Default slog.Default().
	Logger *slog.Logger
}

// Deliverer tells what is in an outbox. Several, in several processes, may share one.
type Deliverer struct {
	cfg    Config
	client *http.Client
	room   chan struct{} // one for each try under way
	hosts  hosts
	tries  sync.WaitGroup
}

// New checks the configuration.
func New(cfg Config) (*Deliverer, error) {
	if cfg.Outbox == nil || cfg.Owner == "" || len(cfg.Key) == 0 || cfg.ResultURL == nil || cfg.Document == nil {
		return nil, errors.New("webhook: Config.Outbox, Owner, Key, ResultURL and Document are required")
	}
	fill(&cfg)
	client := outbound.NewClient(cfg.Outbound)
	follow := client.CheckRedirect
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if via[0].Method == http.MethodPut && req.Method == http.MethodPut {
			return follow(req, via)
		}
		// Who redirects could send what is signed for one to another.
		return http.ErrUseLastResponse
	}
	return &Deliverer{cfg: cfg, client: client, room: make(chan struct{}, maxTogether), hosts: newHosts()}, nil
}

func fill(cfg *Config) {
	cfg.Every = cmp.Or(cfg.Every, time.Second)
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Second)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 24*time.Hour)
	cfg.Base = cmp.Or(cfg.Base, 5*time.Second)
	cfg.Most = cmp.Or(cfg.Most, 4*time.Hour)
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, string) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
}

// Run tells until ctx ends, and returns when the tries under way have ended.
func (d *Deliverer) Run(ctx context.Context) error {
	defer d.client.CloseIdleConnections()
	defer d.tries.Wait()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastMoment, cancel) })()
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

// round takes what is due and starts to tell it. It returns how many it took.
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
			d.caught(work, h, caught)
		}
	}
	return len(list)
}

// start has one told, or puts it off where its host, or all of them, have enough
// to do: nobody waits for a slow one.
func (d *Deliverer) start(ctx, work context.Context, h Hook) {
	name := hostOf(h.URL)
	next, wait := d.hosts.enter(name, h, time.Now())
	switch {
	case wait > 0:
		d.later(work, h, wait)
	case next != nil:
		d.begin(ctx, work, name, h)
	}
}

// begin tells one and what comes in line after it, if there is room.
func (d *Deliverer) begin(ctx, work context.Context, name string, h Hook) {
	select {
	case d.room <- struct{}{}:
	default:
		_, left := d.hosts.next(name, true, time.Now())
		d.putOff(work, name, append(left, h))
		return
	}
	d.tries.Go(func() {
		defer func() { <-d.room }()
		d.turn(ctx, work, name, h)
	})
}

// turn tells a host one after the other for a while; then it is for other hosts
// to have the room. What the end of ctx leaves is due again after the lease.
func (d *Deliverer) turn(ctx, work context.Context, name string, h Hook) {
	end := time.Now().Add(turnTime)
	for next, left := &h, []Hook(nil); next != nil; {
		began := time.Now()
		slow := false
		if caught := panics.Catch(func() { slow = d.tell(work, *next) }); caught != nil {
			d.caught(work, *next, caught)
		}
		now := time.Now()
		d.hosts.told(name, slow, now.Sub(began), now)
		next, left = d.hosts.next(name, ctx.Err() != nil || now.After(end), now)
		if ctx.Err() == nil {
			d.putOff(work, name, left)
		}
	}
}

// putOff puts off what has been in line.
func (d *Deliverer) putOff(ctx context.Context, name string, list []Hook) {
	for _, h := range list {
		d.later(ctx, h, d.hosts.again(name, time.Now()))
	}
}
