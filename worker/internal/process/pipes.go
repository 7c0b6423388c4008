//go:build unix

package process

import (
	"bytes"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The descriptors that a run polls, as indices into pipes.fds.
const (
	fdExit = iota // readable when the program has ended
	fdWake        // readable when a context has ended or the pause gate changed
	fdStdout
	fdStderr
	fdEvents
	fdStdin // writable
	fdCount
)

const (
	// startDelay is how long pipes are left alone after the start. A program that
	// ends within that time costs one wake-up instead of one for each piece and
	// each end of its output. What it writes fits into the pipes, or it waits.
	startDelay = 5 * time.Millisecond
	// exitDelay is how long pipes are left alone after one has ended.
	exitDelay = 2 * time.Millisecond
	// drainTimeout bounds the reading of pipes that a process still holds open
	// after the program has been killed.
	drainTimeout = time.Second
)

// pipes are this process's ends of the program's pipes, and what was read from
// them.
type pipes struct {
	fds     [fdCount]unix.PollFd // Fd -1 is closed
	buffers *buffers
	stdin   []byte // not yet written
	sent    int    // bytes of it that a pipe has taken
	stream  bool   // the input stays open, and answers are lines
	input   int32  // of a stream: the pipe of stdin; -1 once it is closed
	broken  bool   // of a stream: the program has closed its stdin
	lineEnd int    // of a stream: where the first line of stdout ends, or -1

	stdout    []byte
	maxStdout int64
	tooBig    bool // the program wrote more than maxStdout
	log       io.Writer
	events    eventLines
	flow      outputFlow
	active    bool // the program may have written something since this was cleared
	served    bool // at least once
}

func newPipes(spec Spec) (pipes, error) {
	b, err := takeBuffers()
	if err != nil {
		return pipes{}, err
	}
	p := pipes{
		buffers: b, stdin: spec.Stdin, maxStdout: spec.MaxStdout, log: spec.Log,
		stream: spec.stream, input: -1, lineEnd: -1, served: spec.stream,
	}
	p.events.emit = spec.Event
	p.flow.off = spec.Event == nil && !spec.stream
	for i := range p.fds {
		p.fds[i] = unix.PollFd{Fd: -1, Events: unix.POLLIN}
	}
	p.fds[fdStdin].Events = unix.POLLOUT
	p.fds[fdWake].Fd = int32(b.waker.r)
	return p, nil
}

// open creates the pipes and returns the program's descriptors 0 to 3, of which
// those not opened are -1. The caller closes them, but not that of stdin.
func (p *pipes) open(stdin *os.File) (child [4]int, err error) {
	child = [4]int{-1, -1, -1, -1}
	if child[0], err = p.openStdin(stdin); err != nil {
		return child, err
	}
	for i, at := range [...]int{fdStdout, fdStderr, fdEvents} {
		r, w, err := pipe()
		if err != nil {
			return child, err
		}
		// The read end may block: it is read only after poll has found data.
		child[i+1], p.fds[at].Fd = w, int32(r)
	}
	return child, nil
}

// openStdin returns the program's standard input. It writes what fits into the
// pipe, which is the whole of most inputs, before the program exists.
func (p *pipes) openStdin(stdin *os.File) (int, error) {
	if stdin != nil {
		return int(stdin.Fd()), nil
	}
	r, w, err := pipe()
	if err != nil {
		return -1, err
	}
	p.fds[fdStdin].Fd = int32(w)
	if _, err := unix.FcntlInt(uintptr(w), unix.F_SETFL, unix.O_NONBLOCK); err != nil {
		return r, err
	}
	if p.stream {
		p.input, p.fds[fdStdin].Fd = int32(w), -1
		return r, nil
	}
	p.writeStdin()
	return r, nil
}

// serve waits until there is something to do, for timeout at most, and does it.
// It reports whether the program has ended.
func (p *pipes) serve(timeout time.Duration) (exited bool) {
	if !p.served {
		p.served = true
		if p.fds[fdStdin].Fd < 0 { // the program has its whole input
			poll(p.fds[:fdStdout], within(timeout, startDelay))
			return p.fds[fdExit].Revents != 0
		}
	}
	poll(p.fds[:], timeout)
	if p.transfer() {
		// The end of one pipe mostly means that the program ends. Waiting for
		// that alone saves a wake-up for each other pipe.
		poll(p.fds[:fdWake], exitDelay)
	}
	return p.fds[fdExit].Revents != 0
}

// within returns the shorter of two times, of which a negative one has no end.
func within(timeout, most time.Duration) time.Duration {
	if timeout < 0 {
		return most
	}
	return min(timeout, most)
}

// poll waits until a descriptor is ready or the time is over; a negative time
// has no end. It reports whether to go on: the results are in fds.
func poll(fds []unix.PollFd, timeout time.Duration) bool {
	ms := -1
	if timeout >= 0 {
		ms = int(min((timeout+time.Millisecond-1)/time.Millisecond, 1<<30))
	}
	n, err := unix.Poll(fds, ms)
	if err != nil {
		for i := range fds {
			fds[i].Revents = 0
		}
		return err == unix.EINTR
	}
	return n > 0
}

// transfer reads and writes on every descriptor that poll found ready, and
// reports whether a pipe came to its end.
func (p *pipes) transfer() (ended bool) {
	if p.fds[fdWake].Revents != 0 {
		p.buffers.waker.drain()
	}
	if p.fds[fdStdin].Revents != 0 {
		p.writeStdin()
	}
	for at := fdStdout; at <= fdEvents; at++ {
		if p.fds[at].Fd >= 0 && p.fds[at].Revents != 0 {
			p.read(at)
			ended = ended || p.fds[at].Fd < 0 && (at != fdEvents || p.flow.resume.IsZero())
		}
	}
	return ended
}

// writeStdin writes what the pipe takes of the input. It closes the pipe after
// the end of the input, or if the program has closed its end.
func (p *pipes) writeStdin() {
	for len(p.stdin) > 0 {
		n, err := unix.Write(int(p.fds[fdStdin].Fd), p.stdin)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return
		case err != nil:
			p.stdin, p.broken = nil, true
		default:
			p.stdin, p.sent = p.stdin[n:], p.sent+n
		}
	}
	p.stdinWritten()
}

// read reads once from a pipe, or closes it at its end.
func (p *pipes) read(at int) {
	if p.fds[at].Revents&unix.POLLIN == 0 {
		p.close(at) // hung up and empty
		return
	}
	buffer := p.buffers.data
	if at == fdEvents {
		buffer = buffer[:eventRead]
	}
	n, err := unix.Read(int(p.fds[at].Fd), buffer)
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
	case n <= 0:
		p.close(at)
	default:
		p.take(at, buffer[:n])
		if n < len(buffer) && p.fds[at].Revents&unix.POLLHUP != 0 && p.fds[at].Fd >= 0 {
			p.close(at) // that was all
		}
	}
}

func (p *pipes) take(at int, data []byte) {
	p.active = true
	switch at {
	case fdStdout:
		if p.tooBig {
			return
		}
		if int64(len(p.stdout)+len(data)) > p.maxStdout {
			p.stdout, p.tooBig = nil, true // nobody needs it, and it takes much memory
			return
		}
		p.findLine(data)
		p.stdout = appendWithin(p.stdout, data, p.maxStdout)
	case fdStderr:
		if p.log != nil {
			_, _ = p.log.Write(data)
		}
	case fdEvents:
		p.takeEvents(data)
	}
}

// appendWithin appends to a slice that never gets longer than limit, and does not
// allocate more than limit either.
func appendWithin(s, data []byte, limit int64) []byte {
	if need := len(s) + len(data); need > cap(s) {
		s = append(make([]byte, 0, max(need, int(min(int64(2*cap(s)), limit)))), s...)
	}
	return append(s, data...)
}

// takeEvents passes lines on. After too many lines it stops polling the pipe for
// a while.
func (p *pipes) takeEvents(data []byte) {
	before := p.events.ended
	p.events.write(data)
	if p.flow.off {
		return
	}
	if at := p.flow.add(p.events.ended-before, len(data), time.Now()); !at.IsZero() {
		p.flow.resume = at
		p.flow.fd, p.fds[fdEvents].Fd = p.fds[fdEvents].Fd, -1
	}
}

// resumeEvents polls the pipe of the events again if it is time to.
func (p *pipes) resumeEvents(now time.Time) {
	if !p.flow.resume.IsZero() && !now.Before(p.flow.resume) {
		p.pollEvents()
	}
}

// pollEvents polls the pipe of the events again.
func (p *pipes) pollEvents() {
	if !p.flow.resume.IsZero() {
		p.fds[fdEvents].Fd, p.flow.resume = p.flow.fd, time.Time{}
		p.active = true // there may be unread events
	}
}

// drain reads to the end of every pipe, for drainTimeout at most.
func (p *pipes) drain() {
	p.pollEvents()
	p.flow.off = true
	p.fds[fdWake].Fd = -1
	p.close(fdExit)
	until := time.Now().Add(drainTimeout)
	for p.fds[fdStdout].Fd >= 0 || p.fds[fdStderr].Fd >= 0 || p.fds[fdEvents].Fd >= 0 {
		left := time.Until(until)
		if left <= 0 || !poll(p.fds[:], left) {
			break
		}
		p.transfer()
	}
	p.events.close()
}

func (p *pipes) close(at int) {
	if fd := p.fds[at].Fd; fd >= 0 {
		_ = unix.Close(int(fd))
		p.fds[at].Fd = -1
	}
}

// release closes all descriptors and returns the buffers to the pool.
func (p *pipes) release() {
	p.pollEvents()
	p.closeInput()
	p.fds[fdWake].Fd = -1 // belongs to the buffers
	for i := range p.fds {
		p.close(i)
	}
	bufferPool.Put(p.buffers)
	p.buffers = nil
}

// send writes a line to a stream.
func (p *pipes) send(line []byte) {
	p.reset()
	p.stdin, p.sent, p.fds[fdStdin].Fd = line, 0, p.input
	p.writeStdin()
}

// reset forgets what a stream has written to stdout.
func (p *pipes) reset() { p.stdout, p.lineEnd, p.tooBig = nil, -1, false }

// stdinWritten is called after the end of the input. Only the pipe of a stream stays open.
func (p *pipes) stdinWritten() {
	if p.stream {
		p.fds[fdStdin].Fd = -1
		return
	}
	p.close(fdStdin)
}

// closeInput closes the input of a stream.
func (p *pipes) closeInput() {
	if p.input >= 0 {
		_ = unix.Close(int(p.input))
		p.input, p.fds[fdStdin].Fd = -1, -1
	}
}

// findLine looks for the end of the first line of a stream in data, which is about to be
// appended to stdout.
func (p *pipes) findLine(data []byte) {
	if p.stream && p.lineEnd < 0 {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			p.lineEnd = len(p.stdout) + i
		}
	}
}

// answered reports whether a stream has written a line.
func (p *pipes) answered() bool { return p.lineEnd >= 0 }

// answer returns the first line and what came after it.
func (p *pipes) answer() (line, after []byte) { return p.stdout[:p.lineEnd], p.stdout[p.lineEnd+1:] }

// hungUp reports whether the program has closed a pipe that a stream needs.
func (p *pipes) hungUp() bool { return p.broken || p.fds[fdStdout].Fd < 0 }
