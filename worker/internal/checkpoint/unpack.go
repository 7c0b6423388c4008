package checkpoint

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/store"
)

// maxWindow bounds the memory for decompression, in bytes.
const maxWindow = 64 << 20

// broken is the error for a checkpoint that cannot be used, whatever the node tries.
type broken struct{ reason string }

func (b *broken) Error() string { return b.reason }

func isBroken(format string, args ...any) error { return &broken{fmt.Sprintf(format, args...)} }

// get copies an object to f and compares its size and digest. The error is a *broken if it
// is missing or another one.
func get(ctx context.Context, s Store, key string, f io.Writer, size int64, sum string) error {
	o, err := s.Open(ctx, key)
	if errors.Is(err, store.ErrNotExist) {
		return isBroken("it is not in the store")
	}
	if err != nil {
		return err
	}
	defer o.Close()
	if o.Size != size {
		return isBroken("it has %d bytes, and %d were recorded", o.Size, size)
	}
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, digest), reader{ctx, io.LimitReader(o, size)})
	switch {
	case err != nil:
		return err
	case n != size || hex.EncodeToString(digest.Sum(nil)) != sum:
		return isBroken("its SHA-256 is not the one that was recorded")
	}
	return nil
}

// unpack writes the files of a checkpoint into the folder dir, which is empty. The error is a
// *broken if it is not what pack writes, or takes more than limit bytes.
func unpack(ctx context.Context, in io.Reader, dir string, limit int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	unpacking, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer unpacking.Close()
	t := tar.NewReader(unpacking)
	left := limit
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return isBroken("it cannot be unpacked: %v", err)
		case n == maxEntries:
			return isBroken("it has more than %d files and folders", maxEntries)
		case limit > 0 && h.Size > left:
			return isBroken("its files are larger than %s together, which is what the working directory may take here", bytesize.Size(limit))
		}
		left -= h.Size
		if err := extract(ctx, root, h, t); err != nil {
			return err
		}
	}
}

// extract writes one entry.
func extract(ctx context.Context, root *os.Root, h *tar.Header, in io.Reader) error {
	name := strings.TrimSuffix(h.Name, "/")
	if !fs.ValidPath(name) || name == "." {
		return isBroken("it has a file with the name %.80q", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return inTheWay(name, root.Mkdir(name, 0o700))
	case tar.TypeReg:
	default:
		return isBroken("%.80q in it is neither a file nor a folder", h.Name)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return inTheWay(name, err)
	}
	out := &writing{Writer: f}
	_, err = io.Copy(out, reader{ctx, in})
	if err != nil && out.err == nil && ctx.Err() == nil {
		err = isBroken("it cannot be unpacked: %v", err)
	}
	return errors.Join(err, f.Close())
}

// writing keeps the error of a writer, to tell a full disk from a broken archive.
type writing struct {
	io.Writer
	err error
}

func (w *writing) Write(p []byte) (n int, err error) {
	n, err = w.Writer.Write(p)
	w.err = err
	return n, err
}

// inTheWay returns a *broken if another entry is in the way of one.
func inTheWay(name string, err error) error {
	for _, own := range []error{unix.EEXIST, unix.ENOENT, unix.ENOTDIR, unix.ENAMETOOLONG, unix.EINVAL} {
		if errors.Is(err, own) {
			return isBroken("%.80q in it cannot be made: %v", name, err)
		}
	}
	return err
}

// empty removes what is in a folder.
func empty(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := os.RemoveAll(dir + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}
