package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// Producer puts messages on one of several servers, or on Config.Copies of them. It tries
// the server that worked last first, then the others in order. It goes on to the next
// server if one does not answer, refuses messages, or cannot take them before the caller's
// deadline. A server that has failed or refused is left alone for a while if others take
// the message. It is safe for concurrent use.
type Producer struct {
	cfg    Config
	pools  []*pool      // for all commands but puts
	queues []*putQueue  // of the same servers
	good   atomic.Int64 // index of the server that worked last

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // of Put and PutAll
	close  sync.Once
}

// NewProducer returns a Producer that connects at first use. The caller closes it.
func NewProducer(cfg Config) (*Producer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Producer{cfg: cfg}
	for _, addr := range cfg.Addrs {
		p.pools = append(p.pools, newPool(cfg, addr))
		p.queues = append(p.queues, startPutQueue(cfg, addr))
	}
	return p, nil
}

// Put puts a message on the first servers that accept it. If ctx has no deadline, it waits
// at most Config.DialTimeout plus twice Config.Timeout. It returns ErrTube, ErrTooBig,
// ErrClosed, ErrOverloaded, the error of ctx, or the errors of the servers. The error is
// ErrMaybePut if and only if the message was sent to a server that did not answer, or was
// put on fewer servers than Config.Copies.
func (p *Producer) Put(ctx context.Context, m Message) (Receipt, error) {
	outcomes, err := p.PutAll(ctx, []Message{m})
	return outcomes[0].Receipt, err
}

// PutAll puts messages in order, without waiting for each answer. It checks all messages
// before it puts any. It returns one outcome for each message, with errors as Put returns
// them. The error is nil if all were put, otherwise it joins the different errors of the
// outcomes.
func (p *Producer) PutAll(ctx context.Context, messages []Message) ([]Outcome, error) {
	checked := make([]Message, len(messages))
	for i, m := range messages {
		var err error
		if checked[i], err = p.checked(m); err != nil {
			return allFailed(len(messages), err)
		}
	}
	if err := p.enter(ctx); err != nil {
		return allFailed(len(messages), err)
	}
	defer p.calls.Done()
	b := newBatch(ctx, p.cfg.DialTimeout+2*p.cfg.Timeout, p.cfg.Copies, checked)
	first := p.first()
	if caught := panics.Catch(func() {
		if at := b.run(p.queues, first); at != first && at >= 0 {
			p.good.Store(int64(at))
		}
	}); caught != nil {
		b.leave(caught)
	}
	b.finish()
	return b.outcomes, joinOutcomes(b.outcomes)
}

// first returns the index of the server that is tried first: one that has refused a put, if
// it is time to try it again, else the one that worked last.
func (p *Producer) first() int {
	if len(p.queues) > p.cfg.Copies {
		for i, q := range p.queues {
			if q.tryRefused(time.Now()) {
				return i
			}
		}
	}
	return int(p.good.Load())
}

// enter counts a call, so that Close waits for it.
func (p *Producer) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("queue: put: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.calls.Add(1)
	return nil
}

func allFailed(n int, err error) ([]Outcome, error) {
	outcomes := make([]Outcome, n)
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes, err
}

// joinOutcomes joins the different errors of outcomes, up to a few.
func joinOutcomes(outcomes []Outcome) error {
	const most = 8
	var all []error
	seen := map[string]bool{}
	for _, o := range outcomes {
		if o.Err != nil && len(all) < most && !seen[o.Err.Error()] {
			seen[o.Err.Error()] = true
			all = append(all, o.Err)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// checked validates a message and fills in defaults.
func (p *Producer) checked(m Message) (Message, error) {
	if err := ValidTube(m.Tube); err != nil {
		return m, err
	}
	if len(m.Body) > p.cfg.MaxBody {
		return m, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooBig, len(m.Body), p.cfg.MaxBody)
	}
	if m.TTR <= 0 {
		m.TTR = DefaultTTR
	}
	m.Delay, m.TTR = wholeSeconds(m.Delay), wholeSeconds(m.TTR)
	return m, nil
}

// Server describes one server.
type Server struct {
	Addr string
	// ID changes at every start of the server.
	ID      string
	Version string
	// Err is why the other fields are empty.
	Err error
	// Stats are the server's statistics under the names of beanstalkd.
	Stats map[string]string
	// Slow means that it took longer for them than a server may be silent before callers go
	// to another.
	Slow bool
	// Refused is why it has refused the last put of this Producer, or nil.
	Refused error
}

// Servers asks all servers at the same time for their statistics. It returns them in the
// order of Config.Addrs. The error is nil if at least one answered.
func (p *Producer) Servers(ctx context.Context) ([]Server, error) {
	servers := make([]Server, len(p.pools))
	var wg sync.WaitGroup
	for i, pool := range p.pools {
		wg.Go(func() {
			if err := panics.Call(func() error { servers[i] = pool.server(ctx); return nil }); err != nil {
				servers[i] = Server{Addr: pool.addr, Err: err}
			}
			servers[i].Refused = p.queues[i].refused()
		})
	}
	wg.Wait()
	all := make([]error, 0, len(servers))
	for _, s := range servers {
		if s.Err == nil {
			return servers, nil
		}
		all = append(all, s.Err)
	}
	return servers, errors.Join(all...)
}

func (p *pool) server(ctx context.Context) Server {
	s := Server{Addr: p.addr}
	s.Err = p.use(ctx, func(c *conn) (err error) {
		asked := time.Now()
		s.Stats, err = c.stats(ctx)
		s.Slow = time.Since(asked) > leastSilence
		return err
	})
	if s.Err == nil {
		s.ID, s.Version = s.Stats["id"], s.Stats["version"]
	}
	return s
}

// Ping asks all servers at the same time, and returns nil as soon as one has answered.
// Otherwise it returns the joined errors of all servers.
func (p *Producer) Ping(ctx context.Context) error {
	answers := make(chan error, len(p.pools))
	for _, pool := range p.pools {
		go func() { answers <- panics.Call(func() error { return pool.server(ctx).Err }) }()
	}
	var all []error
	for range p.pools {
		err := <-answers
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Close refuses new puts, waits until those under way have ended, each by its own deadline
// at the latest, ends all other operations, and closes all connections.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.calls.Wait()
	p.close.Do(func() {
		for i := range p.pools {
			p.queues[i].close()
			p.pools[i].close()
		}
	})
	return nil
}
