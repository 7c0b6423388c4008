package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/runnerbean/runnerbean/internal/store/bucket"
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
	// ErrAway is returned where the server of a bucket does not answer. The same operation may
	// succeed later.
	ErrAway = bucket.ErrAway
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
