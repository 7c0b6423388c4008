// Package store keeps results, logs and files as objects under keys. The engine
// here is a folder, which several processes on one machine may share: an object
// is there completely or not at all, whatever is killed and whenever.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
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

const (
	filePerm   = 0o640
	folderPerm = 0o750
)

// Store is a folder of objects. Its methods may be called at the same time.
type Store struct {
	root    *os.Root
	top     *os.File // the same folder
	temp    *tempFolder
	observe func(op string, took time.Duration, err error) // nil: nobody watches
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

// Open opens the store at url, "file:///PATH" or an absolute path, makes the
// folder where it is absent, and sweeps away what killed processes left half
// written. The caller closes the store.
func Open(url string) (*Store, error) {
	dir, err := folderOf(url)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, folderPerm); err != nil {
		return nil, fmt.Errorf("store: %w", full(err))
	}
	if err := syncPath(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{root: root, fsync: (*os.File).Sync, failed: make(chan struct{}), folders: map[string]*folder{}, known: map[string]struct{}{}}
	if err := s.prepare(); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("store: %w", full(err))
	}
	return s, nil
}

// prepare opens what the store holds on to besides its root.
func (s *Store) prepare() (err error) {
	if s.top, err = s.root.Open("."); err != nil {
		return err
	}
	if s.temp, err = openTemp(s.root); err != nil {
		_ = s.top.Close()
		return fmt.Errorf("temporary folder: %w", err)
	}
	s.unnamed = s.canUnnamed()
	return nil
}

// folderOf is the folder that url names.
func folderOf(raw string) (string, error) {
	if filepath.IsAbs(raw) {
		return filepath.Clean(raw), nil
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", fmt.Errorf("store: %w", err)
	case u.Scheme != "file":
		return "", fmt.Errorf("store: %q is neither file:///PATH nor an absolute path", raw)
	case u.Host != "" && u.Host != "localhost", !filepath.IsAbs(u.Path), u.RawQuery != "", u.Fragment != "":
		return "", fmt.Errorf("store: %q is not of the form file:///PATH", raw)
	}
	return filepath.Clean(u.Path), nil
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
	return checkKey(key)
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
