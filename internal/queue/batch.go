package queue

import (
	"context"
	"errors"
	"slices"
	"time"
)

// batch is the messages of one call on their way to the first servers that take them.
type batch struct {
	ctx      context.Context
	deadline time.Time
	wake     chan struct{} // receives a value when a request has changed
	messages []Message
	outcomes []Outcome
	final    []bool // the outcome will not change
	left     int    // outcomes that are not final
	open     []visit
	lost     bool          // the last request lost a connection
	copies   int           // servers that each message is put on
	placed   [][]placement // of each message; nil if copies is 1
}

// placement is where a message was put.
type placement struct {
	queue   *putQueue
	receipt Receipt
}

// visit is a request that has not ended.
type visit struct {
	queue   *putQueue
	request *request
}

func newBatch(ctx context.Context, limit time.Duration, copies int, messages []Message) *batch {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(limit)
	}
	b := &batch{
		ctx: ctx, deadline: deadline, wake: make(chan struct{}, 1), messages: messages, copies: copies,
		outcomes: make([]Outcome, len(messages)), final: make([]bool, len(messages)), left: len(messages),
	}
	if copies > 1 {
		b.placed = make([][]placement, len(messages))
	}
	return b
}

// run tries one server after the other, from the first one on, until each message is put on
// enough of them, or refused. It returns the index of the server that put the last one, or -1. A server
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
	r := b.request(q, last)
	if r.left == 0 {
		return false
	}
	if err := q.submit(r); err != nil {
		for i := range r.puts {
			b.record(q, r.puts[i].index, Outcome{Err: err})
		}
		return errors.Is(err, errAway)
	}
	b.open = append(b.open, visit{q, r})
	b.lost = false
	b.await(r)
	return b.lost
}

// request returns the puts of the messages that a server has not taken yet.
func (b *batch) request(q *putQueue, last bool) *request {
	r := &request{wake: b.wake, deadline: b.deadline, last: last, puts: make([]put, b.left)}
	n := 0
	for i, m := range b.messages {
		if b.final[i] || b.has(q, i) {
			continue
		}
		r.puts[n] = put{of: r, index: i, message: m, size: putSize(&m)}
		r.bytes += r.puts[n].size
		n++
	}
	r.puts, r.left = r.puts[:n], n
	return r
}

// has reports whether a server has put a message.
func (b *batch) has(q *putQueue, i int) bool {
	return b.placed != nil && slices.ContainsFunc(b.placed[i], func(p placement) bool { return p.queue == q })
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
		left, quiet := v.queue.collect(v.request, func(p *put) { b.take(v.queue, p) })
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

func (b *batch) take(q *putQueue, p *put) {
	b.lost = b.lost || errors.Is(p.outcome.Err, errLost) || errors.Is(p.outcome.Err, errAway)
	b.record(q, p.index, p.outcome)
}

// record adds the outcome of a message at one server.
func (b *batch) record(q *putQueue, i int, o Outcome) {
	if b.final[i] {
		return
	}
	switch {
	case o.Err != nil:
		b.outcomes[i].Err = joinErrors(b.outcomes[i].Err, o.Err)
	case b.placed == nil:
		b.outcomes[i] = o
	default:
		if !b.has(q, i) {
			b.placed[i] = append(b.placed[i], placement{q, o.Receipt})
		}
		if len(b.placed[i]) < b.copies {
			return
		}
		b.outcomes[i] = Outcome{Receipt: b.placed[i][0].receipt}
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
		v.queue.collect(v.request, func(p *put) { b.take(v.queue, p) })
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

// finish says of messages that are on fewer servers than they should be that they may have
// been put: nodes take them from one as from all.
func (b *batch) finish() {
	for i, placed := range b.placed {
		if n := len(placed); n > 0 && n < b.copies {
			b.outcomes[i] = Outcome{Err: &copiesError{n: n, copies: b.copies, why: b.outcomes[i].Err}}
		}
	}
}
