package queue

import "time"

const (
	// maxInFlight bounds the unanswered puts at one server.
	maxInFlight = 2048
	// firstInFlight is how many puts are sent before anything is known of a server.
	firstInFlight = 8
	// standing is how long the puts in flight may take at a server nearby. A longer time
	// costs callers who give up; a shorter one leaves too few puts for one write.
	standing = 100 * time.Millisecond
	// spare is what an expected time is multiplied by before it is compared with the time
	// that is left.
	spare = 1.25
)

// load measures how long a server takes for puts. It assumes that a put takes as long as
// the server is away, or as long as the server takes for all puts in flight, whichever is
// longer. That holds for a long network, for a server that answers one put after the
// other, on each connection or on all, and for both together. The zero value knows nothing
// and expects the best. Times are in seconds.
type load struct {
	alone float64 // round trip of a put with no other in flight
	each  float64 // time between two answers of a busy server; 0 if it was never busy
	trip  float64 // mean round trip
	depth float64 // mean number of puts in flight, itself included
	known bool
}

// answered records the round trip of a put that was sent as the depth-th in flight.
func (l *load) answered(took time.Duration, depth int) {
	t, n := max(took.Seconds(), 1e-6), float64(depth)
	if !l.known {
		*l = load{alone: t, trip: t, depth: n, known: true}
		return
	}
	l.trip += (t - l.trip) / 4
	l.depth += (n - l.depth) / 4
	if depth <= 1 {
		l.alone = t
		// This shows nothing of how many puts the server can take. So what is known of
		// that fades, and more puts are tried now and then.
		const fades = 31.0 / 32
		l.each = min(l.each*fades, t)
		return
	}
	l.alone = min(l.alone, t)
	const queued = 1.25 // times the round trip: the put waited for others
	switch each := t / n; {
	case each <= l.each:
		l.each += (each - l.each) / 4
	case t > queued*l.alone:
		l.each += (each - l.each) / 2
	}
}

// limit returns how many puts may be in flight. It grows with the number that were.
func (l *load) limit() int {
	most := min(maxInFlight, 2*l.depth+firstInFlight)
	if l.each > 0 {
		most = min(most, max(standing.Seconds(), 3*l.alone)/l.each)
	}
	return max(1, int(most))
}

// wait returns how long a put may take with others in flight and waiting before it.
func (l *load) wait(others int) time.Duration {
	return time.Duration(spare * max(l.alone, l.each*float64(others+1)) * float64(time.Second))
}

// far reports whether the server is so far away or slow that its answers are worth more
// connections. One connection carries more to a server nearby: its puts share writes.
func (l *load) far() bool { return l.alone > 1e-3 }

// leastSilence is how long a server may always be silent before callers go to another.
const leastSilence = 250 * time.Millisecond

// silence returns for how long a server that works is never silent.
func (l *load) silence() time.Duration {
	const trips = 8
	return max(leastSilence, time.Duration(trips*l.trip*float64(time.Second)))
}
