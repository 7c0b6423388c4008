// Package store keeps results, logs and files as objects under keys. The
// engine here is a folder; an object is complete and never partial, whatever
// is killed and whenever.
package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
)

var (
	// ErrExists is returned by Create for a key that has an object already.
	ErrExists error = &sentinel{"store: object exists", fs.ErrExist}
	// ErrNotExist is returned for a key that has no object.
	ErrNotExist error = &sentinel{"store: no such object", fs.ErrNotExist}
	// ErrFull is returned where the disk or a quota is full.
	ErrFull = errors.New("store: disk full")
	// ErrKey is returned for a key that is not well formed.
	ErrKey = errors.New("store: bad key")
	// ErrTooBig is returned by a reader from Bounded, and so by CreateFrom.
	ErrTooBig = errors.New("store: object too big")
)

type sentinel struct {
	text string
	is   error
}

func (s *sentinel) Error() string { return s.text }
func (s *sentinel) Unwrap() error { return s.is }

// Store is a folder of objects. Several processes may use one folder.
type Store struct{}

// Object is an open object; the caller closes it.
type Object struct {
	io.ReadSeekCloser
	Size    int64 // bytes
	ModTime time.Time
}

// Open opens the store at url, "file:///PATH" or an absolute path.
func Open(url string) (*Store, error) { return nil, errors.ErrUnsupported }

// Create makes the object key from data where it is absent, synced to disk.
func (s *Store) Create(ctx context.Context, key string, data []byte) error {
	return errors.ErrUnsupported
}

// CreateFrom is Create for a stream; it returns the bytes written.
func (s *Store) CreateFrom(ctx context.Context, key string, r io.Reader) (int64, error) {
	return 0, errors.ErrUnsupported
}

// Replace puts data in place of the object key, at once but not synced.
func (s *Store) Replace(ctx context.Context, key string, data []byte) error {
	return errors.ErrUnsupported
}

// Open opens the object key for reading.
func (s *Store) Open(ctx context.Context, key string) (*Object, error) {
	return nil, errors.ErrUnsupported
}

// Delete removes the object key; ErrNotExist where there is none.
func (s *Store) Delete(ctx context.Context, key string) error { return errors.ErrUnsupported }

// Free is how many bytes may still be written.
func (s *Store) Free() (int64, error) { return 0, errors.ErrUnsupported }

// Close gives up what the store holds.
func (s *Store) Close() error { return nil }
