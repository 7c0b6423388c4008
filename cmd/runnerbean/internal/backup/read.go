package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/runnerbean/runnerbean/internal/store"
)

// maxWindow bounds the memory for decompression, in bytes.
const maxWindow = 64 << 20

// sink takes what a reader has read. The reader has checked names, but digests come after
// the objects that they are of: what a sink has got counts only if read returns nil.
type sink interface {
	manifest(m Manifest) error
	ledger(size int64, r io.Reader) error
	object(key string, size int64, mod time.Time, r io.Reader) error
}

// reader reads an archive, which may be hostile.
type reader struct {
	ctx     context.Context
	tar     *tar.Reader
	sink    sink
	table   strings.Builder // of the entries since the last table
	lines   int
	number  int // of the next table
	tables  hash.Hash
	last    string // key of the object before
	summary Summary
	end     End
}

// read reads an archive to its end and gives the sink its parts. The error is an
// ErrArchive if the archive is cut, changed or not one that a writer writes.
func read(ctx context.Context, in io.Reader, s sink) (*reader, error) {
	unpacked, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer unpacked.Close()
	r := &reader{ctx: ctx, tar: tar.NewReader(unpacked), sink: s, tables: sha256.New()}
	for _, step := range []func() error{r.manifest, r.ledger, r.rest} {
		if err := step(); err != nil {
			return nil, r.explain(err)
		}
	}
	// The decoder checks its own sum at the end of the stream.
	if n, err := io.Copy(io.Discard, io.LimitReader(unpacked, maxText+1)); err != nil || n > maxText {
		return nil, r.explain(errors.Join(err, errors.New("there is more after its end")))
	}
	return r, nil
}

// explain marks errors of the compression and of tar as ErrArchive.
func (r *reader) explain(err error) error {
	var failed *sinkError
	if errors.Is(err, ErrArchive) || errors.As(err, &failed) || r.ctx.Err() != nil {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return bad("it ends too early")
	}
	return fmt.Errorf("%w: %w", ErrArchive, err)
}

// sinkError is an error of the sink.
type sinkError struct{ error }

func (e *sinkError) Unwrap() error { return e.error }

// next reads the header of the next entry.
func (r *reader) next() (*tar.Header, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	h, err := r.tar.Next()
	if err != nil {
		return nil, err
	}
	if h.Typeflag != tar.TypeReg || h.Linkname != "" || h.Size < 0 {
		return nil, bad("the entry %.80q is not a file", h.Name)
	}
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse") {
			return nil, bad("the entry %.80q has holes", h.Name)
		}
	}
	return h, nil
}

// text reads a small entry.
func (r *reader) text(h *tar.Header, limit int64) ([]byte, error) {
	if h.Size > limit {
		return nil, bad("%.80q is too large: %d bytes", h.Name, h.Size)
	}
	return io.ReadAll(r.tar)
}

// digested gives an entry to a function, and notes its digest.
func (r *reader) digested(h *tar.Header, take func(io.Reader) error) error {
	digest, read := sha256.New(), &counter{}
	err := take(io.TeeReader(r.tar, io.MultiWriter(digest, read)))
	if err != nil {
		return err
	}
	if read.n != h.Size {
		return bad("%.80q has %d bytes of %d", h.Name, read.n, h.Size)
	}
	r.table.WriteString(digestLine(hex.EncodeToString(digest.Sum(nil)), h.Size, h.Name))
	r.lines++
	return nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func (r *reader) manifest() error {
	h, err := r.next()
	if err != nil {
		return err
	}
	if h.Name != manifestName {
		return bad("it begins with %.80q", h.Name)
	}
	if h.Size > maxText {
		return bad("%s is too large: %d bytes", h.Name, h.Size)
	}
	return r.digested(h, func(in io.Reader) error {
		text, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &r.summary.Manifest); err != nil {
			return bad("%s: %w", h.Name, err)
		}
		if r.summary.Format != format {
			return bad("its format is %d, and this program reads %d", r.summary.Format, format)
		}
		return failed(r.sink.manifest(r.summary.Manifest))
	})
}

func (r *reader) ledger() error {
	h, err := r.next()
	if err != nil {
		return err
	}
	if h.Name != ledgerName {
		return bad("%.80q stands in place of the ledger", h.Name)
	}
	return r.digested(h, func(in io.Reader) error {
		return r.give(in, func(in io.Reader) error { return r.sink.ledger(h.Size, in) })
	})
}

// give gives an entry to the sink. An error of the archive goes before one of the sink,
// which may have come from it.
func (r *reader) give(in io.Reader, take func(io.Reader) error) error {
	watched := &watched{Reader: in}
	err := take(watched)
	if watched.err != nil {
		return watched.err
	}
	return failed(err)
}

// watched keeps the error of a reader.
type watched struct {
	io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		w.err = err
	}
	return n, err
}

func failed(err error) error {
	if err == nil || errors.Is(err, ErrArchive) {
		return err
	}
	return &sinkError{err}
}

// rest reads objects and tables until the end.
func (r *reader) rest() error {
	for {
		h, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(h.Name, objectPrefix):
			err = r.object(h)
		case strings.HasPrefix(h.Name, digestPrefix):
			err = r.digests(h)
		case h.Name == endName:
			if err := r.ends(h); err != nil {
				return err
			}
			if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
				return errors.Join(bad("there is more after its end"), err)
			}
			return nil
		default:
			err = bad("the entry %.80q has no place in it", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) object(h *tar.Header) error {
	key := strings.TrimPrefix(h.Name, objectPrefix)
	switch err := store.CheckKey(key); {
	case err != nil:
		return bad("%w", err)
	case r.last != "" && !before(r.last, key):
		return bad("%.300q stands after %.300q: twice, or not in order", key, r.last)
	case r.lines >= tableLines:
		return bad("more than %d objects stand before a table of digests", tableLines)
	}
	r.last = key
	r.summary.Objects++
	r.summary.Bytes += h.Size
	return r.digested(h, func(in io.Reader) error {
		return r.give(in, func(in io.Reader) error { return r.sink.object(key, h.Size, h.ModTime, in) })
	})
}

// digests compares a table with what was read since the last one.
func (r *reader) digests(h *tar.Header) error {
	if want := fmt.Sprintf("%s%08d", digestPrefix, r.number); h.Name != want {
		return bad("%.80q stands in place of %s", h.Name, want)
	}
	r.number++
	text, err := r.text(h, maxTable)
	if err != nil {
		return err
	}
	if string(text) != r.table.String() {
		return bad("what was read before %s has other digests: %s", h.Name, firstDifference(string(text), r.table.String()))
	}
	r.tables.Write(text)
	r.table.Reset()
	r.lines = 0
	return nil
}

// firstDifference names the first entry whose lines differ.
func firstDifference(want, got string) string {
	lines := strings.Split(got, "\n")
	for i, line := range strings.Split(want, "\n") {
		if i < len(lines) && lines[i] != line {
			return fmt.Sprintf("%.300q", lines[i][strings.LastIndexByte(lines[i], ' ')+1:])
		}
	}
	return "another number of entries"
}

func (r *reader) ends(h *tar.Header) error {
	text, err := r.text(h, maxText)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &r.end); err != nil {
		return bad("%s: %w", h.Name, err)
	}
	if r.lines > 0 || r.end.Tables != hex.EncodeToString(r.tables.Sum(nil)) || r.end.Objects != r.summary.Objects || r.end.Bytes != r.summary.Bytes {
		return bad("its end does not belong to what stands before it")
	}
	r.summary.Missing = r.end.Missing
	return nil
}
