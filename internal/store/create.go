package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
)

// chunk is how many bytes of a stream are copied between two checks of the context.
const chunk = 4 << 20

func (s *disk) create(ctx context.Context, key string, r io.Reader) (int64, error) {
	if err := s.Err(); err != nil {
		return 0, err
	}
	f, err := s.enter(path.Dir(key))
	if err != nil {
		return 0, err
	}
	defer s.leave(f)
	n, err := int64(0), error(fs.ErrExist)
	// A look before saves writing what cannot be linked.
	if _, missing := s.root.Lstat(key); missing != nil {
		n, err = s.write(ctx, f, path.Base(key), r)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return 0, err
	}
	// Also for an object of somebody else, who may not have come this far yet.
	if syncErr := s.keep(f); syncErr != nil {
		return 0, syncErr
	}
	return n, err
}

// write writes r to a new file, syncs it, and then links it under name.
func (s *disk) write(ctx context.Context, f *folder, name string, r io.Reader) (n int64, err error) {
	t, err := s.newTemp(f)
	if err != nil {
		return 0, err
	}
	defer t.discard()
	if n, err = fill(ctx, t.File, r); err != nil {
		return 0, err
	}
	if err := s.fsync(t.File); err != nil {
		return 0, err
	}
	return n, t.link(name)
}

// fill copies r into f. If r is a file, the kernel copies.
func fill(ctx context.Context, f *os.File, r io.Reader) (int64, error) {
	if b, ok := r.(*bytes.Reader); ok {
		return b.WriteTo(f)
	}
	for total := int64(0); ; {
		if ctx.Err() != nil {
			return total, context.Cause(ctx)
		}
		n, err := io.CopyN(f, r, chunk)
		total += n
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

func (s *disk) replace(_ context.Context, key string, data []byte) error {
	f, name, err := s.temp.create()
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.rename(name, key)
	}
	if err != nil {
		_ = s.root.Remove(name)
	}
	return err
}

// rename makes the folder of key only where it turns out to be absent.
func (s *disk) rename(from, key string) error {
	err := s.root.Rename(from, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.root.MkdirAll(path.Dir(key), folderPerm); err != nil {
		return err
	}
	return s.root.Rename(from, key)
}
