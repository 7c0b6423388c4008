package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Open opens the object key for reading; ErrNotExist where there is none.
func (s *Store) Open(ctx context.Context, key string) (o *Object, err error) {
	defer s.watch("open", time.Now(), &err)
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	f, err := s.openObject(key)
	if err != nil {
		return nil, fault(key, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, fault(key, err)
	}
	return &Object{ReadSeekCloser: f, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// Delete removes the object key; ErrNotExist where there is none. It is not
// synced: a power cut may bring the object back, whole.
func (s *Store) Delete(ctx context.Context, key string) (err error) {
	defer s.watch("delete", time.Now(), &err)
	if err := check(ctx, key); err != nil {
		return err
	}
	if err := s.root.Remove(key); err != nil {
		return fault(key, err)
	}
	return nil
}

// Close gives up what the store holds. Open objects stay open.
func (s *Store) Close() error {
	return errors.Join(s.temp.close(), s.top.Close(), s.root.Close())
}

// check is what every method begins with.
func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: %w", context.Cause(ctx))
	}
	return CheckKey(key)
}
