package process

import "bytes"

// MaxEventLine is the longest event line in bytes. Longer lines are dropped.
const MaxEventLine = 256 << 10

// eventLines cuts a stream into lines of at most MaxEventLine bytes. It passes on
// lines that arrive whole without a copy.
type eventLines struct {
	emit    func(line []byte)
	partial []byte
	skip    bool // inside a line that is too long
	dropped int
	ended   int // lines so far
}

func (l *eventLines) write(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.keep(p)
			return
		}
		l.end(p[:i])
		p = p[i+1:]
	}
}

// keep holds the beginning of a line until its end arrives.
func (l *eventLines) keep(p []byte) {
	switch {
	case l.skip:
	case len(l.partial)+len(p) > MaxEventLine:
		l.skip, l.partial = true, nil
	default:
		l.partial = append(l.partial, p...)
	}
}

// end passes on a line whose last piece is p.
func (l *eventLines) end(p []byte) {
	l.ended++
	if len(l.partial) > 0 || l.skip {
		l.keep(p)
		p = l.partial
		l.partial = l.partial[:0]
	}
	switch {
	case l.skip || len(p) > MaxEventLine:
		l.skip = false
		l.dropped++
	case len(p) > 0 && l.emit != nil:
		l.emit(p)
	}
}

// close passes on a last line that has no newline.
func (l *eventLines) close() { l.end(nil) }
