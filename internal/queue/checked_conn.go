package queue

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// checkedConn is the network connection under go-beanstalk. Its Read returns complete
// replies only, each checked against what the command allows. So the client never
// allocates a size that the server merely claims, and never accepts a truncated reply.
type checkedConn struct {
	net.Conn
	in      *bufio.Reader
	maxBody int

	want    shape
	notices int    // how many may still precede the reply
	out     []byte // checked bytes that Read has not returned yet
	left    int    // bytes of a body that Read has not returned yet
	trailer bool   // the line end after the body has not been read yet
	skipped int    // size of a discarded body that was over maxBody
	fault   error  // the first error; it is permanent
}

func newCheckedConn(nc net.Conn, maxBody int) *checkedConn {
	return &checkedConn{Conn: nc, in: bufio.NewReader(nc), maxBody: maxBody}
}

// begin prepares for one command. It sets which reply is expected, how many notices may
// precede it, and the time limit.
func (w *checkedConn) begin(want shape, notices int, limit time.Duration) error {
	if w.fault == nil && (w.in.Buffered() > 0 || len(w.out) > 0 || w.left > 0 || w.trailer) {
		w.fault = fmt.Errorf("%w: more than was asked for", ErrReply)
	}
	if w.fault != nil {
		return w.fault
	}
	w.want, w.notices, w.skipped = want, notices, 0
	return w.SetDeadline(time.Now().Add(limit))
}

// Read implements io.Reader for go-beanstalk.
func (w *checkedConn) Read(p []byte) (int, error) {
	if w.fault != nil {
		return 0, w.fault
	}
	n, err := w.read(p)
	w.fault = err
	return n, err
}

func (w *checkedConn) read(p []byte) (int, error) {
	if len(w.out) == 0 && w.left == 0 {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	if len(w.out) > 0 {
		n := copy(p, w.out)
		w.out = w.out[n:]
		return n, nil
	}
	n, err := w.in.Read(p[:min(len(p), w.left)])
	w.left -= n
	return n, unexpected(err)
}

// next reads the line end after a body, or the next line of a reply, into out.
func (w *checkedConn) next() error {
	if w.trailer {
		w.trailer = false
		w.out = lineEnd
		return w.readTrailer()
	}
	line, err := w.readLine()
	if err != nil {
		return err
	}
	r, err := w.want.parse(string(bytes.TrimSuffix(line, lineEnd)))
	if err != nil {
		return err
	}
	w.out = line
	switch {
	case r.notice:
		return w.countNotice()
	case r.size >= 0:
		return w.admit(r)
	}
	return nil
}

// admit accepts a body within the limit. It reads and discards the body of a job over
// maxBody, and delivers the job without it. Closing the connection instead would return
// the job to its tube, and the job would break the next connection too.
func (w *checkedConn) admit(r reply) error {
	job := w.want.id
	switch {
	case !job && r.size > w.want.most:
		return fmt.Errorf("%w: a body of %d bytes", ErrReply, r.size)
	case !job || r.size <= w.maxBody:
		w.left, w.trailer = r.size, true
		return nil
	}
	w.skipped = r.size
	if _, err := w.in.Discard(r.size); err != nil {
		return unexpected(err)
	}
	w.out = fmt.Appendf(nil, "%s %d 0\r\n\r\n", w.want.head, r.id)
	return w.readTrailer()
}

func (w *checkedConn) countNotice() error {
	if w.notices--; w.notices < 0 {
		return fmt.Errorf("%w: more %s than was asked for", ErrReply, w.want.notice)
	}
	return nil
}

func (w *checkedConn) readLine() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), err == nil && len(line) > maxLine:
		return nil, fmt.Errorf("%w: a line without end", ErrReply)
	case err != nil && len(line) > 0:
		return nil, unexpected(err)
	case err != nil:
		return nil, err
	case !bytes.HasSuffix(line, lineEnd):
		return nil, badReply(string(line))
	}
	return line, nil
}

func (w *checkedConn) readTrailer() error {
	var end [2]byte
	if _, err := io.ReadFull(w.in, end[:]); err != nil {
		return unexpected(err)
	}
	if !bytes.Equal(end[:], lineEnd) {
		return fmt.Errorf("%w: a body that goes on after its end", ErrReply)
	}
	return nil
}

// unexpected turns an EOF inside a reply into io.ErrUnexpectedEOF.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
