package queue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
)

const (
	// round is how long one reserve waits. Its answer shows that the connection still
	// works.
	round = time.Minute
	// firstPause and longestPause bound the backoff between attempts to reach a server.
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// Consumer takes messages from one server over one connection, which it opens when
// needed. Only one Reserve runs at a time; other callers wait.
type Consumer struct {
	cfg   Config
	log   *slog.Logger
	ended context.Context // done after Close
	end   context.CancelFunc
	busy  chan struct{} // held during a reserve; guards the fields below

	conn     *conn
	failures int       // consecutive
	away     time.Time // start of the current outage, or zero
	retryAt  time.Time // when the server may be tried again
}

// NewConsumer returns a Consumer of cfg.Addrs[0]. The caller closes it.
func NewConsumer(cfg Config) (*Consumer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Consumer{cfg: cfg, busy: make(chan struct{}, 1)}
	c.log = cfg.Logger.With("beanstalkd", cfg.Addrs[0])
	c.ended, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Reserve waits for a message on any of the tubes until ctx ends, even while the server
// is away. It returns ErrTube for a bad name, ErrClosed after Close, or the error of
// ctx. It first releases messages that are still reserved, because a consumer must not
// hold messages while it waits.
func (c *Consumer) Reserve(ctx context.Context, tubes []string) (*Delivery, error) {
	batch, err := c.ReserveBatch(ctx, tubes, 1)
	if err != nil {
		return nil, err
	}
	return batch[0], nil
}

// ReserveBatch waits for a message as Reserve does, and also reserves the other ready
// messages, up to limit messages in all.
func (c *Consumer) ReserveBatch(ctx context.Context, tubes []string, limit int) ([]*Delivery, error) {
	set, err := tubeSet(tubes)
	if err != nil {
		return nil, err
	}
	ctx, leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.untilSome(ctx, set, limit)
}

// Poll reserves a message that is ready on any of the tubes. It returns nil if there is
// none, if the server does not answer until ctx ends, or if it is left alone after a
// failure. The errors are those of Reserve, but not that of ctx.
func (c *Consumer) Poll(ctx context.Context, tubes []string) (*Delivery, error) {
	set, err := tubeSet(tubes)
	if err != nil {
		return nil, err
	}
	ctx, leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if time.Now().Before(c.retryAt) {
		return nil, nil
	}
	batch, err := c.attempt(ctx, set, 1, false)
	switch {
	case len(batch) > 0:
		return batch[0], nil
	case c.ended.Err() != nil:
		return nil, ErrClosed
	case err != nil && !errors.Is(ctx.Err(), context.Canceled):
		c.failed(err)
	}
	return nil, nil
}

// enter waits for the end of other calls. The caller calls leave. The context that it
// returns ends with Close, too.
func (c *Consumer) enter(ctx context.Context) (own context.Context, leave func(), err error) {
	own, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ended, cancel)
	select {
	case c.busy <- struct{}{}:
		return own, func() { <-c.busy; stop(); cancel() }, nil
	case <-own.Done():
		stop()
		cancel()
		return nil, nil, c.why(own)
	}
}

func tubeSet(tubes []string) (map[string]bool, error) {
	if err := validTubes(tubes); err != nil {
		return nil, err
	}
	set := make(map[string]bool, len(tubes))
	for _, tube := range tubes {
		set[tube] = true
	}
	return set, nil
}

func (c *Consumer) untilSome(ctx context.Context, tubes map[string]bool, limit int) ([]*Delivery, error) {
	for {
		if left := time.Until(c.retryAt); left > 0 {
			retry.Sleep(ctx, left)
		}
		batch, err := c.attempt(ctx, tubes, limit, true)
		switch {
		case len(batch) > 0:
			return batch, nil
		case ctx.Err() != nil:
			return nil, c.why(ctx)
		case err != nil:
			c.failed(err)
		}
	}
}

// why returns ErrClosed if Close ended ctx, and otherwise the error of ctx.
func (c *Consumer) why(ctx context.Context) error {
	if c.ended.Err() != nil {
		return ErrClosed
	}
	return ctx.Err()
}

// attempt asks once for a message, and waits for one if it may. It returns no error if none
// arrived.
func (c *Consumer) attempt(ctx context.Context, tubes map[string]bool, limit int, waits bool) ([]*Delivery, error) {
	wait, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	if !waits {
		wait = 0
	}
	first, err := c.conn.reserve(ctx, tubes, wait)
	if errors.Is(err, errDeadline) {
		c.conn.discard() // the server would repeat it at every reserve
	}
	if err != nil && !errors.Is(err, errNone) {
		return nil, err
	}
	c.works()
	if err != nil {
		return nil, nil
	}
	return c.more(ctx, tubes, []*Delivery{first}, limit)
}

// connect ensures a connection that holds no messages. It returns how long to wait on it:
// zero on a new one, so that a broken one shows at once.
func (c *Consumer) connect(ctx context.Context) (wait time.Duration, err error) {
	if c.conn != nil && !c.conn.dead.Load() {
		if c.conn.held.empty() {
			return round, nil
		}
		c.log.Debug("messages still held are given back")
		c.conn.discard()
	}
	c.conn, err = dial(ctx, c.cfg, c.cfg.Addrs[0])
	return 0, err
}

// more adds the messages that are ready to a batch. If the connection fails, it returns
// none: the server returns all of them to their tubes.
func (c *Consumer) more(ctx context.Context, tubes map[string]bool, batch []*Delivery, limit int) ([]*Delivery, error) {
	for len(batch) < limit {
		d, err := c.conn.reserve(ctx, tubes, 0)
		switch {
		case errors.Is(err, errNone), errors.Is(err, errDeadline):
			return batch, nil
		case err != nil:
			return nil, err
		}
		batch = append(batch, d)
	}
	return batch, nil
}

// works records a valid answer, which ends an outage.
func (c *Consumer) works() {
	c.failures, c.retryAt = 0, time.Time{}
	if !c.away.IsZero() {
		c.log.Info("beanstalkd is back", "away", time.Since(c.away).Round(time.Millisecond))
		c.away = time.Time{}
	}
}

// failed leaves the server alone for a while, with backoff. It logs an outage once.
func (c *Consumer) failed(err error) {
	if c.away.IsZero() {
		c.away = time.Now()
		c.log.Warn("beanstalkd does not answer; trying until it does", "err", err)
	}
	c.failures++
	c.retryAt = time.Now().Add(retry.Backoff{Base: firstPause, Max: longestPause}.Wait(c.failures))
}

// Close ends a Reserve that is under way and closes the connection. Messages that are
// still held return to their tubes.
func (c *Consumer) Close() error {
	c.end()
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	if c.conn != nil {
		c.conn.discard()
	}
	return nil
}
