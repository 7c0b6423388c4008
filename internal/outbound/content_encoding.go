package outbound

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxCodings is how many codings may lie in one another.
	maxCodings = 2
	// maxWindow is what RFC 9659 lets zstd keep in memory over HTTP, in bytes.
	maxWindow = 8 << 20
)

// codingFault is what is wrong with a coded answer. It would be so again.
type codingFault struct{ text string }

func (c *codingFault) Error() string { return c.text }

// noCodings stand in Content-Encoding fields but change nothing: object stores keep
// whatever an uploader has written there.
var noCodings = []string{"", "identity", "none", "binary", "utf-8", "utf8", "aws-chunked"}

// ownTypes are media types that are themselves of a coding: a file of that kind is not
// decoded, although some servers name both.
var ownTypes = map[string][]string{
	"gzip": {"application/gzip", "application/x-gzip", "application/x-tgz", "application/x-gtar-compressed"},
	"zstd": {"application/zstd", "application/x-zstd"},
}

// codings reads the Content-Encoding of an answer, the outermost first.
func codings(answer *http.Response) (list []string, _ error) {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	for _, coding := range strings.Split(strings.Join(answer.Header.Values("Content-Encoding"), ","), ",") {
		coding = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(coding)), "x-")
		if slices.Contains(noCodings, coding) || slices.Contains(ownTypes[coding], kind) {
			continue
		}
		if decoders[coding] == nil {
			return nil, &codingFault{fmt.Sprintf("it comes in the Content-Encoding %.40q, which this node does not decode; serve it as it is, or as gzip, deflate or zstd", coding)}
		}
		list = append(list, coding)
	}
	if len(list) > maxCodings {
		return nil, &codingFault{fmt.Sprintf("it comes in more than %d Content-Encodings", maxCodings)}
	}
	slices.Reverse(list)
	return list, nil
}

// decode makes the body of an answer what was encoded. As net/http does it then says
// that the answer is uncompressed, and nothing of its length. Reading the body ends
// with ctx.
func decode(ctx context.Context, answer *http.Response) error {
	if answer.ContentLength == 0 {
		return nil
	}
	list, err := codings(answer)
	if err != nil || len(list) == 0 {
		return err
	}
	answer.Body = &decoded{ctx: ctx, names: list, r: answer.Body, whole: answer.Body}
	answer.Uncompressed, answer.ContentLength = true, -1
	answer.Header.Del("Content-Encoding")
	answer.Header.Del("Content-Length")
	return nil
}

// decoded is a body that is decoded as it is read. Its memory is bounded by maxCodings
// windows.
type decoded struct {
	ctx    context.Context
	names  []string // that have yet to be begun
	r      io.Reader
	whole  io.Closer
	closes []func()
	err    error
}

func (d *decoded) Read(p []byte) (int, error) {
	for d.err == nil && len(d.names) > 0 {
		d.begin(d.names[0])
		d.names = d.names[1:]
	}
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.r.Read(p)
	d.err = err
	return n, err
}

// begin puts one decoder over what there is. It reads the beginning of the body.
func (d *decoded) begin(name string) {
	from := &coded{bufio.NewReader(&until{d.ctx, d.r}), nil}
	r, stop, err := decoders[name](from)
	d.r = &coding{name, r, from}
	if stop != nil {
		d.closes = append(d.closes, stop)
	}
	if err != nil {
		d.err = from.fault(name, err)
	}
}

// Close ends the decoders and closes the body.
func (d *decoded) Close() error {
	for _, stop := range d.closes {
		stop()
	}
	d.closes, d.err = nil, http.ErrBodyReadAfterClose
	return d.whole.Close()
}

// until reads until ctx ends. A decoder may read on and on without giving anything,
// as with empty members of gzip, from another one that has enough in memory.
type until struct {
	ctx context.Context
	io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}

// coded is what a decoder reads. It remembers an error that is not the decoder's.
type coded struct {
	*bufio.Reader
	err error
}

func (c *coded) note(err error) {
	if err != nil && err != io.EOF {
		c.err = err
	}
}

func (c *coded) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.note(err)
	return n, err
}

func (c *coded) ReadByte() (byte, error) {
	b, err := c.Reader.ReadByte()
	c.note(err)
	return b, err
}

// fault tells an error of the connection, which may pass, from one of what it brought.
func (c *coded) fault(name string, err error) error {
	if c.err != nil {
		return c.err
	}
	if inner, ok := errors.AsType[*codingFault](err); ok {
		return inner
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &codingFault{"its Content-Encoding is " + name + ", and it ends too early for that"}
	}
	return &codingFault{fmt.Sprintf("its Content-Encoding is %s, but it is not that: %.100s", name, err)}
}

// coding is what one decoder gives.
type coding struct {
	name string
	io.Reader
	from *coded
}

func (c *coding) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, c.from.fault(c.name, err)
	}
	// Nothing may follow; a connection that breaks here has broken off.
	if _, err := c.from.ReadByte(); err == nil {
		return n, &codingFault{"something follows behind the end of its Content-Encoding " + c.name}
	} else if err != io.EOF {
		return n, err
	}
	return n, io.EOF
}

// decoders read the standard codings; stop, if any, gives back what one holds.
var decoders = map[string]func(*coded) (r io.Reader, stop func(), err error){
	"gzip": func(from *coded) (io.Reader, func(), error) {
		r, err := gzip.NewReader(from)
		return r, nil, err
	},
	"deflate": func(from *coded) (io.Reader, func(), error) {
		// Some servers leave out the frame that the standard asks for.
		if head, err := from.Peek(2); err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			r, err := zlib.NewReader(from)
			return r, nil, err
		} else if err != nil {
			from.note(err)
			return nil, nil, err
		}
		return flate.NewReader(from), nil, nil
	},
	"zstd": func(from *coded) (io.Reader, func(), error) {
		if _, err := from.Peek(1); err != nil {
			from.note(err)
			return nil, nil, err
		}
		r, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	},
}
