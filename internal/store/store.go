// Package store keeps results, logs and files as objects under keys, in a folder or in a
// bucket of an S3-compatible server. Several processes may share it: an object is there
// completely or not at all, whatever is killed and whenever.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/store/readcache"
)

// Store keeps objects. Its methods may be called at the same time.
type Store struct {
	engine
	observe func(op string, took time.Duration, err error) // may be nil
}

// Open opens the store at url: "file:///PATH", an absolute path, or
// "s3://BUCKET/PREFIX?endpoint=URL". It creates a folder if necessary and removes temporary
// files of dead processes. The caller closes the store.
func Open(ctx context.Context, url string) (*Store, error) {
	if IsBucket(url) {
		b, err := openBucket(ctx, url)
		if err != nil {
			return nil, err
		}
		return &Store{engine: b}, nil
	}
	d, err := openDisk(url)
	if err != nil {
		return nil, err
	}
	return &Store{engine: d}, nil
}

// Create creates the object key from data. When it returns nil, the object is safe on disk.
// It returns ErrExists if the object exists and leaves that unchanged, ErrFull, ErrKey or
// ErrReopen.
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
	if n, err = s.create(ctx, key, r); err != nil {
		return 0, fault(key, err)
	}
	return n, nil
}

// Replace creates or replaces the object key. Readers see either the old or the new
// object. It does not sync: a power cut may leave the old object, or an empty one.
func (s *Store) Replace(ctx context.Context, key string, data []byte) (err error) {
	defer s.watch("replace", time.Now(), &err)
	if err := check(ctx, key); err != nil {
		return err
	}
	if err := s.replace(ctx, key, data); err != nil {
		return fmt.Errorf("store: %s: %w", key, full(err))
	}
	return nil
}

// Open opens the object key for reading; ErrNotExist where there is none. Reads and seeks
// end with ctx.
func (s *Store) Open(ctx context.Context, key string) (o *Object, err error) {
	defer s.watch("open", time.Now(), &err)
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	if o, err = s.open(ctx, key); err != nil {
		return nil, fault(key, err)
	}
	return o, nil
}

// Delete removes the object key. A folder returns ErrNotExist where there is none. It is
// not synced: a power cut may bring the object back, whole.
func (s *Store) Delete(ctx context.Context, key string) (err error) {
	defer s.watch("delete", time.Now(), &err)
	if err := check(ctx, key); err != nil {
		return err
	}
	if err := s.remove(ctx, key); err != nil {
		return fault(key, err)
	}
	return nil
}

// RemoveJobs removes all objects of jobs, so that no power cut brings one back. It does
// nothing for objects that are not there. An error means that some objects may be left;
// the call can be repeated.
func (s *Store) RemoveJobs(ctx context.Context, list []JobObjects) (err error) {
	defer s.watch("remove-jobs", time.Now(), &err)
	list = slices.DeleteFunc(slices.Clone(list), func(j JobObjects) bool { return CheckKey(ResultKey(j.ID)) != nil }) // no object can have such a key
	return s.removeJobs(ctx, list)
}

// JobSize returns how many bytes the objects of a job have.
func (s *Store) JobSize(ctx context.Context, j JobObjects) (n int64, err error) {
	if err := check(ctx, ResultKey(j.ID)); err != nil {
		return 0, err
	}
	return s.jobSize(ctx, j)
}

// check is what every method begins with.
func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: %w", context.Cause(ctx))
	}
	return CheckKey(key)
}

// Observe has f told of the end of each operation: "create", "open", "replace" or
// "delete". That an object exists, or does not, is no error here. It is called
// before the store is used.
func (s *Store) Observe(f func(op string, took time.Duration, err error)) { s.observe = f }

// KeepCopies has the node keep copies of results and files that are read more than once, if the
// store is in a bucket. It is called before the store is used.
func (s *Store) KeepCopies(cfg readcache.Config) (err error) {
	if b, ok := s.engine.(*inBucket); ok {
		b.copies, err = readcache.Open(b.bucket, cfg)
	}
	return err
}

// Copies returns the copies that the node keeps. It is nil, which has no copies, if there are none.
func (s *Store) Copies() *readcache.Cache {
	if b, ok := s.engine.(*inBucket); ok {
		return b.copies
	}
	return nil
}

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

// Inspect looks at the folder or bucket of a store and changes nothing. A folder that does
// not exist holds nothing.
func Inspect(ctx context.Context, url string) (Found, error) {
	if IsBucket(url) {
		return inspectBucket(ctx, url)
	}
	return inspectFolder(url)
}

// Missing returns how many of some jobs have no result in the store at url. It changes
// nothing.
func Missing(ctx context.Context, url string, ids []string) (int, error) {
	if IsBucket(url) {
		return missingInBucket(ctx, url, ids)
	}
	return missingInFolder(url, ids)
}
