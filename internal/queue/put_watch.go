package queue

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// watchEvery is how often a queue with work looks at the time.
const watchEvery = 50 * time.Millisecond

// startPutQueue returns a queue that connects at first use.
func startPutQueue(cfg Config, addr string) *putQueue {
	q := &putQueue{cfg: cfg, addr: addr, kick: make(chan struct{}, 1)}
	q.ended, q.end = context.WithCancel(context.Background())
	q.run = q.watchTime
	return q
}

// watchTime looks at the time while there is work.
func (q *putQueue) watchTime() {
	idle := time.NewTicker(maxIdle / 2)
	defer idle.Stop()
	for q.ended.Err() == nil {
		select {
		case <-q.kick:
		case <-idle.C:
		case <-q.ended.Done():
		}
		q.rounds()
	}
}

func (q *putQueue) rounds() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for more := true; more; {
		if caught := panics.Catch(func() { more = q.look(time.Now()) }); caught != nil {
			q.cfg.Logger.Error("internal fault", "beanstalkd", q.addr, "err", caught)
		}
		select {
		case <-tick.C:
		case <-q.ended.Done():
			return
		}
	}
}

// look ends what has lasted too long. It returns false if there is no work.
func (q *putQueue) look(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.conns {
		q.lookAt(c, now)
	}
	if silent := q.silent(now); silent > q.load.silence() {
		q.sendAway(q.silenceError(silent))
	}
	q.sweep(now)
	q.proceed(now)
	q.watched = q.sent > 0 || q.dialing > 0 || q.waiting.first != nil
	return q.watched
}

// lookAt closes a connection that was silent or idle for too long. Callers whose puts are
// in flight on one that is silent for longer than usual should look at other servers.
func (q *putQueue) lookAt(c *putConn, now time.Time) {
	silent := c.silent(now)
	switch {
	case silent > q.cfg.Timeout:
		c.fail(fmt.Errorf("no answer within %v: %w", q.cfg.Timeout, os.ErrDeadlineExceeded))
	case silent > q.load.silence() && !c.suspect:
		c.suspect = true
		q.inFlight -= c.inFlight.len()
		for _, p := range c.inFlight.all() {
			p.of.quiet = true
			p.of.poke()
		}
	case c.inFlight.len() == 0 && now.Sub(c.progress) > maxIdle:
		c.fail(errIdle)
	}
}

// sendAway ends the puts that wait although their callers may go to another server.
func (q *putQueue) sendAway(why error) {
	for r, then := q.waiting.first, (*request)(nil); r != nil; r = then {
		if then = r.then; !r.last {
			q.waiting.remove(r)
			r.endRest(why)
		}
	}
}

// sweep ends the puts that wait and would be answered too late.
func (q *putQueue) sweep(now time.Time) {
	before := 0
	for r, then := q.waiting.first, (*request)(nil); r != nil; r = then {
		then = r.then
		left, expected := r.deadline.Sub(now), time.Duration(0)
		if q.inFlight > 0 {
			expected = q.load.wait(q.inFlight + before)
		}
		before += r.counted
		if left > 0 && expected <= left {
			continue
		}
		before -= r.counted
		q.waiting.remove(r)
		if q.inFlight == 0 {
			r.endRest(q.silenceError(q.silent(now)))
		}
		r.endRest(&overloadError{addr: q.addr, expected: expected, left: left})
	}
}
