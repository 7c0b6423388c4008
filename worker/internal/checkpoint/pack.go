package checkpoint

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// packTries is how often a checkpoint is packed that changes meanwhile.
const packTries = 3

// packed is a checkpoint in a file without a name.
type packed struct {
	file   *os.File
	sha256 string
	size   int64
}

// pack packs the folder dir into a new file at spool, which it removes at once: the file is
// gone once it is closed. The same content gives the same bytes. The error is a *Refused if
// the content cannot be kept, also if it changes all the time.
func pack(ctx context.Context, dir, spool string, limit int64) (packed, error) {
	f, err := unnamed(spool)
	if err != nil {
		return packed{}, err
	}
	p, err := untilSame(func() (packed, error) { return packOnce(ctx, f, dir, limit) })
	if err != nil {
		return packed{}, errors.Join(err, f.Close())
	}
	return p, nil
}

// untilSame packs again if the files have changed meanwhile. It returns a *Refused if they
// change all the time.
func untilSame(pack func() (packed, error)) (packed, error) {
	for range packTries {
		if p, err := pack(); !errors.Is(err, errChanged) {
			return p, err
		}
	}
	return packed{}, refuse("files in checkpoint changed while they were packed: replace them by renaming, and leave them alone after the event")
}

// unnamed makes a file that has no name any more.
func unnamed(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// packOnce packs the folder into f. It returns errChanged unless the files were the same
// before, while and after they were read.
func packOnce(ctx context.Context, f *os.File, dir string, limit int64) (p packed, err error) {
	if err := f.Truncate(0); err != nil {
		return p, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return p, err
	}
	look := func() (string, error) { return (&walk{ctx: ctx, limit: limit}).run(dir) }
	before, err := look()
	if err != nil {
		return p, err
	}
	digest := sha256.New()
	n := &counter{}
	during, err := write(ctx, io.MultiWriter(f, digest, n), dir, limit)
	if err != nil {
		return p, err
	}
	after, err := look()
	if err == nil && (before != during || before != after) {
		err = errChanged
	}
	return packed{f, hex.EncodeToString(digest.Sum(nil)), n.n}, err
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// write writes the folder as a compressed tar: names in order, without owners and times.
func write(ctx context.Context, out io.Writer, dir string, limit int64) (digest string, err error) {
	packing, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, packing.Close()) }()
	t := tar.NewWriter(packing)
	w := walk{ctx: ctx, limit: limit}
	w.folder = func(path string) error {
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: 0o700})
	}
	w.file = func(path string, f *os.File, st *unix.Stat_t) error {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o600, Size: st.Size}); err != nil {
			return err
		}
		_, err := io.CopyN(t, reader{ctx, f}, st.Size)
		if errors.Is(err, io.EOF) {
			return errChanged
		}
		return err
	}
	if digest, err = w.run(dir); err != nil {
		return "", err
	}
	if w.entries == 0 {
		return "", refuse("the folder checkpoint is empty")
	}
	return digest, t.Close()
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, fmt.Errorf("stopped: %w", context.Cause(r.ctx))
	}
	return r.Reader.Read(p)
}
