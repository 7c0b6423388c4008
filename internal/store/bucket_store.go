package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/store/bucket"
	"github.com/runnerbean/runnerbean/internal/store/readcache"
)

const (
	// lookTime bounds the requests about the identity of a bucket at start.
	lookTime = 20 * time.Second
	// attachedTime bounds a look whether the bucket answers.
	attachedTime = 2 * time.Second
)

// inBucket is a store in a bucket.
type inBucket struct {
	bucket *bucket.Bucket
	copies *readcache.Cache // may be nil
	failed chan struct{}    // never closed: what a server has taken, it keeps
}

// Close closes idle connections.
func (s *inBucket) Close() error { return errors.Join(s.copies.Close(), s.bucket.Close()) }

// final reports whether the object of a key never changes and is read more than once: it is
// served to browsers, or is an input of many frames.
func final(key string) bool {
	return strings.HasPrefix(key, "results/") || strings.HasPrefix(key, "files/") || strings.HasPrefix(key, "packages/")
}

// IsBucket reports whether a URL names a bucket rather than a folder.
func IsBucket(url string) bool { return bucket.Is(url) }

// BucketName returns the URL of a bucket in its usual form.
func BucketName(url string) (string, error) {
	l, err := bucket.Parse(url)
	return l.String(), err
}

// lookAt returns the bucket that a URL names, without a request. The caller closes it.
func lookAt(url string) (*bucket.Bucket, error) {
	l, err := bucket.Parse(url)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	b, err := bucket.Look(l)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return b, nil
}

func openBucket(ctx context.Context, url string) (*inBucket, error) {
	l, err := bucket.Parse(url)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	b, err := bucket.Open(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &inBucket{bucket: b, failed: make(chan struct{})}, nil
}

func (s *inBucket) Failed() <-chan struct{} { return s.failed }
func (s *inBucket) Err() error              { return nil }

func (s *inBucket) create(ctx context.Context, key string, r io.Reader) (int64, error) {
	defer s.copies.Forget(key)
	n, err := s.bucket.Create(ctx, key, r)
	return n, ownFull(err)
}

func (s *inBucket) replace(ctx context.Context, key string, data []byte) error {
	defer s.copies.Forget(key)
	return ownFull(s.bucket.Put(ctx, key, data))
}

// ownFull gives the package's own error where there is no room.
func ownFull(err error) error {
	if errors.Is(err, bucket.ErrFull) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func (s *inBucket) open(ctx context.Context, key string) (*Object, error) {
	if s.copies != nil && final(key) {
		o, err := s.copies.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		return &Object{ReadSeekCloser: o, Size: o.Size, ModTime: o.ModTime}, nil
	}
	o, err := s.bucket.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return &Object{ReadSeekCloser: o, Size: o.Size, ModTime: o.ModTime}, nil
}

// remove drops the copy last, since a read at the same time may make another one.
func (s *inBucket) remove(ctx context.Context, key string) error {
	defer s.copies.Forget(key)
	return s.bucket.Remove(ctx, key)
}

func (s *inBucket) removeJobs(ctx context.Context, list []JobObjects) error {
	var keys, ids []string
	defer func() { s.copies.ForgetJobs(ids) }()
	for _, j := range list {
		ids = append(ids, j.ID)
		keys = append(keys, jobKeys(j)...)
		for _, shard := range shardsOf(j.ID) {
			for o, err := range s.bucket.List(ctx, shard+"/"+j.ID+".") {
				if err != nil {
					return fault(j.ID, err)
				}
				keys = append(keys, o.Key)
			}
		}
	}
	if err := s.bucket.Remove(ctx, keys...); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (s *inBucket) jobSize(ctx context.Context, j JobObjects) (n int64, err error) {
	for _, kind := range Kinds {
		for o, err := range s.bucket.List(ctx, key(kind, j.ID, ".")) {
			if err != nil {
				return n, fault(j.ID, err)
			}
			n += o.Size
		}
	}
	return n, nil
}

// text returns a small object; fs.ErrNotExist where there is none.
func (s *inBucket) text(ctx context.Context, key string) ([]byte, error) {
	o, err := s.bucket.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(io.LimitReader(o, maxIdentity))
}

func (s *inBucket) Identity() (Identity, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	return s.identity(ctx)
}

func (s *inBucket) identity(ctx context.Context) (Identity, error) {
	text, err := s.text(ctx, identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, fmt.Errorf("store: %w", s.bucket.Explain(err))
	}
	id, err := parseIdentity(text)
	if err != nil {
		return id, fmt.Errorf("store: %s in %s is not the identity of a store: %w", identityFile, s.bucket.Location, err)
	}
	return id, nil
}

func (s *inBucket) Identify(id Identity) (Identity, error) {
	err := s.writeIdentity(id, func(ctx context.Context, text []byte) error {
		_, err := s.bucket.Create(ctx, identityFile, bytes.NewReader(text))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return Identity{}, fmt.Errorf("store: identity: %w", s.bucket.Explain(err))
	}
	return s.Identity()
}

func (s *inBucket) SetIdentity(id Identity) error {
	err := s.writeIdentity(id, func(ctx context.Context, text []byte) error { return s.bucket.Put(ctx, identityFile, text) })
	if err != nil {
		return fmt.Errorf("store: identity: %w", s.bucket.Explain(err))
	}
	return nil
}

func (s *inBucket) writeIdentity(id Identity, write func(context.Context, []byte) error) error {
	text, err := id.text()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	return write(ctx, text)
}

func (s *inBucket) Attached(ctx context.Context, id Identity) error {
	ctx, cancel := context.WithTimeout(ctx, attachedTime)
	defer cancel()
	now, err := s.identity(ctx)
	if err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	if now != id {
		return fmt.Errorf("store: the identity in %s has changed: restart the node", s.bucket.Location)
	}
	return nil
}

// inspectBucket looks at a bucket and changes nothing.
func inspectBucket(ctx context.Context, url string) (found Found, err error) {
	b, err := lookAt(url)
	if err != nil {
		return found, err
	}
	defer b.Close()
	found.Folder = b.Location.String()
	s := &inBucket{bucket: b}
	for _, err := range s.bucket.List(ctx, "results/") {
		if err != nil {
			return found, fmt.Errorf("store: %w", b.Explain(err))
		}
		found.Results = true
		break
	}
	if err := b.CheckRules(ctx); err != nil {
		return found, fmt.Errorf("store: %w", err)
	}
	found.Identity, err = s.Identity()
	return found, err
}

// missingInBucket counts the jobs that have no result there.
func missingInBucket(ctx context.Context, url string, ids []string) (n int, err error) {
	b, err := lookAt(url)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	for _, id := range ids {
		found := false
		for o, err := range b.List(ctx, ResultKey(id)) {
			if err != nil {
				return n, fmt.Errorf("store: %w", b.Explain(err))
			}
			found = o.Key == ResultKey(id)
			break
		}
		if !found {
			n++
		}
	}
	return n, nil
}
