package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// chunk is how many bytes of a stream are copied between two checks of the context.
const chunk = 4 << 20

// Create creates the object key from data. When it returns nil, the object is synced to
// disk. It returns ErrExists if the object exists and leaves that unchanged, ErrFull,
// ErrKey or ErrReopen.
func (s *Store) Create(ctx context.Context, key string, data []byte) error {
	_, err := s.CreateFrom(ctx, key, bytes.NewReader(data))
	return err
}

// CreateFrom does the same as Create for a stream. It reads r to the end and returns the
// size of the object in bytes. The caller bounds the stream, see Bounded. After a read
// error there is no object.
func (s *Store) CreateFrom(ctx context.Context, key string, r io.Reader) (n int64, err error) {
	defer s.watch("create", time.Now(), &err)
	if err := check(ctx, key); err != nil {
		return 0, err
	}
	n, err = s.create(ctx, key, r)
	if err != nil {
		return 0, fault(key, err)
	}
	return n, nil
}

func (s *Store) create(ctx context.Context, key string, r io.Reader) (int64, error) {
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
func (s *Store) write(ctx context.Context, f *folder, name string, r io.Reader) (n int64, err error) {
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

// Replace creates or replaces the object key. Readers see either the old or the new
// object. It does not sync: a power cut may leave the old object, or an empty one.
func (s *Store) Replace(ctx context.Context, key string, data []byte) (err error) {
	defer s.watch("replace", time.Now(), &err)
	if err := check(ctx, key); err != nil {
		return err
	}
	if err := s.replace(key, data); err != nil {
		return fmt.Errorf("store: %s: %w", key, full(err))
	}
	return nil
}

func (s *Store) replace(key string, data []byte) error {
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
func (s *Store) rename(from, key string) error {
	err := s.root.Rename(from, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.root.MkdirAll(path.Dir(key), folderPerm); err != nil {
		return err
	}
	return s.root.Rename(from, key)
}
