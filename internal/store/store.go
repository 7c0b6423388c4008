// Package store keeps results, logs and files as objects under keys. The engine
// here is a folder, which several processes on one machine may share: an object
// is there completely or not at all, whatever is killed and whenever.
package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

var (
	// ErrExists is returned by Create and CreateFrom for a key that has an
	// object, which is safe on disk by then. It is an fs.ErrExist.
	ErrExists error = sentinel{"store: object exists", fs.ErrExist}
	// ErrNotExist is returned for a key that has no object. It is an fs.ErrNotExist.
	ErrNotExist error = sentinel{"store: no such object", fs.ErrNotExist}
	// ErrFull is returned where a disk, a quota or a limit on file size is full.
	// Nothing of the object is left.
	ErrFull = errors.New("store: disk full")
	// ErrKey is returned for a key that is not well formed.
	ErrKey = errors.New("store: bad key")
	// ErrReopen is returned by Create and CreateFrom after the disk has failed to
	// sync a folder: the kernel tells of that once, so that a later sync that
	// succeeds proves nothing. It ends when the store is opened again.
	ErrReopen = errors.New("store: the disk has failed to keep a name: nothing more is created until the store is opened again")
	// ErrTooBig is returned by a reader from Bounded, and so by CreateFrom.
	ErrTooBig = errors.New("store: object too big")
)

// sentinel is an error that is also one of package fs.
type sentinel struct {
	text string
	is   error
}

func (s sentinel) Error() string { return s.text }
func (s sentinel) Unwrap() error { return s.is }

// Store is a folder of objects. Its methods may be called at the same time.
type Store struct {
	root    *os.Root
	top     *os.File // the same folder
	temp    *tempFolder
	observe func(op string, took time.Duration, err error) // may be nil
	fsync   func(*os.File) error                           // of objects
	// unnamed is set where files can be written before they have a name.
	unnamed bool

	failing sync.Once
	failed  chan struct{} // closed once failure is set
	failure error

	mu      sync.Mutex
	folders map[string]*folder  // those in use now
	known   map[string]struct{} // those that are safe on disk, as far as remembered
}

// Object is an open object. The caller closes it. ReadSeekCloser is an *os.File
// in a folder store, so that a server may let the kernel send it.
type Object struct {
	io.ReadSeekCloser
	Size    int64 // bytes
	ModTime time.Time
}

// Observe has f told of the end of each operation: "create", "open", "replace" or
// "delete". That an object exists, or does not, is no error here. It is called
// before the store is used.
func (s *Store) Observe(f func(op string, took time.Duration, err error)) { s.observe = f }

// watch tells who observes; it is deferred.
func (s *Store) watch(op string, began time.Time, err *error) {
	if s.observe == nil {
		return
	}
	failed := *err
	if errors.Is(failed, ErrExists) || errors.Is(failed, ErrNotExist) {
		failed = nil
	}
	s.observe(op, time.Since(began), failed)
}

// fault gives an error its key and the package's own words.
func fault(key string, err error) error {
	switch {
	case errors.Is(err, ErrNotExist), errors.Is(err, ErrExists), errors.Is(err, ErrTooBig):
	case errors.Is(err, fs.ErrNotExist):
		err = ErrNotExist
	case errors.Is(err, fs.ErrExist):
		err = ErrExists
	default:
		err = full(err)
	}
	if text := err.Error(); strings.HasPrefix(text, "store: ") {
		return fmt.Errorf("%w: %s", err, key)
	}
	return fmt.Errorf("store: %s: %w", key, err)
}

// full marks an error that says there is no room.
func full(err error) error {
	if err != nil && noRoom(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
