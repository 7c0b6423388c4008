package queue

import (
	"strconv"
	"time"
)

// put is one message of a request.
type put struct {
	of      *request
	index   int // of the message in the batch of the caller
	message Message
	size    int  // of the command, in bytes
	uses    bool // the answer to its use command has not come yet
	sent    time.Time
	depth   int // puts in flight when it was sent, itself included
	state   putState
	outcome Outcome
}

type putState uint8

const (
	putWaits putState = iota
	putInFlight
	putEnded     // outcome is set
	putCollected // the caller has the outcome
)

// request is the messages of one call at one server. They are sent in order, all on one
// connection unless it ends.
type request struct {
	wake     chan struct{} // receives a value when the caller should look
	deadline time.Time
	// last means that the caller has no other server to go to.
	last bool
	puts []put

	// The mutex of the server guards the fields below.
	next  int  // index of the first put that waits
	left  int  // number of puts that have not ended
	bytes int  // of the puts that wait
	conn  int  // number of the connection on which the first ones were sent, or 0
	quiet bool // the server is silent, and the caller has not seen that yet

	// Of the list of requests.
	used            int // puts sent in this turn
	queued          bool
	counted, weight int
	before, then    *request
}

// poke makes the caller look.
func (r *request) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // it has not looked yet
	}
}

// end sets the outcome of a put.
func (p *put) end(o Outcome) {
	p.message = Message{} // the caller may change the body now
	if p.state >= putEnded {
		return // the caller has gone
	}
	p.state, p.outcome = putEnded, o
	if p.of.left--; p.of.left == 0 {
		p.of.poke()
	}
}

// endRest ends the puts that wait.
func (r *request) endRest(err error) {
	for ; r.next < len(r.puts); r.next++ {
		r.puts[r.next].end(Outcome{Err: err})
	}
}

const (
	// turn is how many puts of a request are sent before those of the next request.
	turn = 32
	// requestWeight is how many bytes of a request count at most.
	requestWeight = 1 << 20
)

// requests is a list of requests with puts that wait. It counts of each request only what
// is sent in one turn, because that is what the others wait for.
type requests struct {
	first, last *request
	puts, bytes int
}

// share returns how many puts and bytes of a request count.
func (r *request) share() (puts, bytes int) {
	return min(len(r.puts)-r.next, turn), min(r.bytes, requestWeight)
}

// turned removes a request that is done, and puts one that has had its turn behind the
// others.
func (l *requests) turned(r *request) {
	done := r.next == len(r.puts)
	if !done && r.used < turn {
		return
	}
	l.remove(r)
	if r.used = 0; !done {
		l.pushBack(r)
	}
}

func (l *requests) pushBack(r *request) {
	r.before, r.then = l.last, nil
	if l.last != nil {
		l.last.then = r
	} else {
		l.first = r
	}
	l.last = r
	r.queued = true
	r.counted, r.weight = r.share()
	l.puts += r.counted
	l.bytes += r.weight
}

func (l *requests) remove(r *request) {
	if !r.queued {
		return
	}
	if r.before != nil {
		r.before.then = r.then
	} else {
		l.first = r.then
	}
	if r.then != nil {
		r.then.before = r.before
	} else {
		l.last = r.before
	}
	r.queued, r.before, r.then = false, nil, nil
	l.puts -= r.counted
	l.bytes -= r.weight
}

// fifo is a queue of puts.
type fifo struct {
	puts []*put
	head int // index of the oldest
}

func (f *fifo) len() int { return len(f.puts) - f.head }

func (f *fifo) all() []*put { return f.puts[f.head:] }

func (f *fifo) push(p *put) {
	if f.head > len(f.puts)/2 { // so that the room before it does not grow
		n := copy(f.puts, f.puts[f.head:])
		clear(f.puts[n:])
		f.puts, f.head = f.puts[:n], 0
	}
	f.puts = append(f.puts, p)
}

func (f *fifo) pop() *put {
	p := f.puts[f.head]
	f.puts[f.head] = nil
	if f.head++; f.head == len(f.puts) {
		f.puts, f.head = f.puts[:0], 0
	}
	return p
}

// putSize is at least the length of the command of a message.
func putSize(m *Message) int {
	const words = 80 // both commands, with the longest numbers
	return words + len(m.Tube) + len(m.Body)
}

// appendPut appends the command that puts a message, after one that selects its tube if
// use is set.
func appendPut(b []byte, m *Message, use bool) []byte {
	if use {
		b = append(b, "use "...)
		b = append(b, m.Tube...)
		b = append(b, lineEnd...)
	}
	b = append(b, "put "...)
	b = strconv.AppendUint(b, uint64(m.Priority), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(m.Delay/time.Second), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(m.TTR/time.Second), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(m.Body)), 10)
	b = append(b, lineEnd...)
	b = append(b, m.Body...)
	return append(b, lineEnd...)
}
