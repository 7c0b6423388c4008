package queue

import (
	"context"
	"errors"
	"time"
)

// batch is the messages of one call on their way to the first server that takes them.
type batch struct {
	ctx      context.Context
	deadline time.Time
	wake     chan struct{} // receives a value when a request has changed
	messages []Message
	outcomes []Outcome
	final    []bool // the outcome will not change
	left     int    // outcomes that are not final
	open     []visit
	lost     bool // the last request lost a connection
}

// visit is a request that has not ended.
type visit struct {
	queue   *putQueue
	request *request
}

func newBatch(ctx context.Context, limit time.Duration, messages []Message) *batch {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(limit)
	}
	return &batch{
		ctx: ctx, deadline: deadline, wake: make(chan struct{}, 1), messages: messages,
		outcomes: make([]Outcome, len(messages)), final: make([]bool, len(messages)), left: len(messages),
	}
}

// run tries one server after the other, from the first one on, until each message is put
// or refused. It returns the index of the server that put the last one, or -1. A server
// that was away, or that lost a connection, is tried once more after the others.
func (b *batch) run(servers []*putQueue, first int) int {
	var again []int
	for i := range servers {
		at := (first + i) % len(servers)
		if b.visit(servers[at], len(servers) == 1) {
			again = append(again, at)
		}
		if b.left == 0 {
			return at
		}
	}
	for _, at := range again {
		if b.visit(servers[at], true); b.left == 0 {
			return at
		}
	}
	for len(b.open) > 0 && b.ctx.Err() == nil { // at silent servers, which may answer yet
		b.await(nil)
	}
	b.leave(b.ctx.Err())
	return -1
}

// visit tries one server with the messages that are not put. It reports whether the
// server should be tried again.
func (b *batch) visit(q *putQueue, last bool) bool {
	if err := b.ctx.Err(); err != nil || b.left == 0 {
		return false
	}
	r := b.request(last)
	if err := q.submit(r); err != nil {
		for i := range r.puts {
			b.record(r.puts[i].index, Outcome{Err: err})
		}
		return errors.Is(err, errAway)
	}
	b.open = append(b.open, visit{q, r})
	b.lost = false
	b.await(r)
	return b.lost
}

func (b *batch) request(last bool) *request {
	r := &request{wake: b.wake, deadline: b.deadline, last: last, puts: make([]put, b.left), left: b.left}
	n := 0
	for i, m := range b.messages {
		if b.final[i] {
			continue
		}
		r.puts[n] = put{of: r, index: i, message: m, size: putSize(&m)}
		r.bytes += r.puts[n].size
		n++
	}
	return r
}

// await collects outcomes until a request has ended, its server is silent, all messages
// are final, or ctx ends. Without a request it waits for any change.
func (b *batch) await(r *request) {
	for b.left > 0 {
		select {
		case <-b.wake:
		case <-b.ctx.Done():
			b.leave(b.ctx.Err())
			return
		}
		if b.collect(r) || r == nil {
			break
		}
	}
	if b.left == 0 {
		b.leave(nil)
	}
}

// collect records what has ended. It reports whether the request has ended or its server
// is silent.
func (b *batch) collect(r *request) (ready bool) {
	still := b.open[:0]
	for _, v := range b.open {
		left, quiet := v.queue.collect(v.request, b.take)
		if left > 0 {
			still = append(still, v)
		}
		if v.request == r && (left == 0 || quiet && !r.last) {
			ready = true
		}
	}
	clear(b.open[len(still):])
	b.open = still
	return ready
}

func (b *batch) take(p *put) {
	b.lost = b.lost || errors.Is(p.outcome.Err, errLost) || errors.Is(p.outcome.Err, errAway)
	b.record(p.index, p.outcome)
}

// record adds the outcome of a message at one server.
func (b *batch) record(i int, o Outcome) {
	if b.final[i] {
		return
	}
	if o.Err == nil {
		b.outcomes[i] = o
	} else {
		b.outcomes[i].Err = joinErrors(b.outcomes[i].Err, o.Err)
	}
	if o.Err == nil || errors.Is(o.Err, ErrTooBig) || errors.Is(o.Err, ErrClosed) {
		b.final[i] = true
		b.left--
	}
}

// leave withdraws what is still open, and records the end of ctx for all messages that are
// not final.
func (b *batch) leave(why error) {
	for _, v := range b.open {
		v.queue.withdraw(v.request, why)
		v.queue.collect(v.request, b.take)
	}
	b.open = nil
	if why == nil {
		return
	}
	for i := range b.outcomes {
		if !b.final[i] && !errors.Is(b.outcomes[i].Err, why) {
			b.outcomes[i].Err = errors.Join(b.outcomes[i].Err, why)
		}
	}
}
