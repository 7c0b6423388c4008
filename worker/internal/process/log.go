package process

import (
	"bytes"
	"sync"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// Log keeps the head and the tail of what is written to it and drops what lies
// between, so that its memory is bounded. The zero value is ready for use. All
// methods are safe for concurrent use.
type Log struct {
	// HeadSize and TailSize are in bytes and must not change after the first Write.
	// Default logtext.EndSize each, on which readers of stored logs rely.
	HeadSize, TailSize int

	mu    sync.Mutex
	head  []byte
	tail  []byte // a ring buffer once it has its full size
	next  int    // index of the oldest byte in a full ring buffer
	total int64
}

// Write keeps what it can of p. It never fails and never blocks.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += int64(len(p))
	rest := p
	if room := size(l.HeadSize) - len(l.head); room > 0 {
		k := min(room, len(rest))
		l.head = append(l.head, rest[:k]...)
		rest = rest[k:]
	}
	l.push(rest)
	return len(p), nil
}

func size(n int) int {
	if n <= 0 {
		return logtext.EndSize
	}
	return n
}

// push adds p to the ring buffer.
func (l *Log) push(p []byte) {
	limit := size(l.TailSize)
	if len(p) >= limit {
		l.tail, l.next = append(l.tail[:0], p[len(p)-limit:]...), 0
		return
	}
	if room := limit - len(l.tail); room > 0 {
		k := min(room, len(p))
		l.tail = append(l.tail, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := copy(l.tail[l.next:], p)
		l.next = (l.next + k) % limit
		p = p[k:]
	}
}

// Total returns how many bytes were written.
func (l *Log) Total() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Snapshot returns a copy of what is kept. If bytes were dropped, a line between
// head and tail says how many, and neither is cut inside a character.
func (l *Log) Snapshot() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]byte, 0, len(l.head)+len(l.tail)+64)
	out = append(out, l.head...)
	if l.omitted() == 0 {
		out = append(out, l.tail[l.next:]...)
		return append(out, l.tail[:l.next]...)
	}
	return logtext.WithGap(out, l.ordered(), l.total)
}

// ordered returns a copy of the tail.
func (l *Log) ordered() []byte {
	return append(append(make([]byte, 0, len(l.tail)), l.tail[l.next:]...), l.tail[:l.next]...)
}

// Since returns copies of what is kept from a position on, at most two chunks: what belongs
// to the head and what belongs to the tail.
func (l *Log) Since(position int64) (chunks []logtext.Chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if position < int64(len(l.head)) {
		chunks = append(chunks, logtext.Chunk{Position: position, Data: bytes.Clone(l.head[position:])})
	}
	first := l.total - int64(len(l.tail))
	if from := max(position, first); from < l.total {
		chunks = append(chunks, logtext.Chunk{Position: from, Data: l.ordered()[from-first:]})
	}
	return chunks
}

func (l *Log) omitted() int64 { return l.total - int64(len(l.head)) - int64(len(l.tail)) }

// Tail returns a copy of the last n bytes, or of fewer if fewer are kept. It does
// not start inside a character.
func (l *Log) Tail(n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	pieces := [][]byte{l.tail[l.next:], l.tail[:l.next]}
	skip := len(l.tail) - max(0, n)
	if l.omitted() == 0 {
		pieces = [][]byte{l.head, pieces[0], pieces[1]}
		skip += len(l.head)
	}
	var out []byte
	for _, p := range pieces {
		k := min(max(0, skip), len(p))
		out = append(out, p[k:]...)
		skip -= k
	}
	if int64(len(out)) < l.total {
		out = logtext.Tail(out)
	}
	return out
}
