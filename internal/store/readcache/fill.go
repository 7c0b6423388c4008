package readcache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/store/bucket"
)

const (
	// ahead is how many bytes before its own offset a reader waits for. One that is further on,
	// as after a seek, asks the bucket itself.
	ahead = 1 << 20
	// patience is how long a reader waits for the next byte before it asks the bucket itself: a
	// disk that hangs holds up no reader.
	patience = 2 * time.Second
	// buffer is how many bytes are copied at once.
	buffer = 128 << 10
)

// fill is a copy that is being made. Many read it meanwhile.
type fill struct {
	key, name string
	size      int64 // as it was seen before
	temp      string
	began     time.Time
	dropped   bool // guarded by the Cache: the copy is not to stay

	ready  chan struct{}  // closed once the fields until mu are set
	object *bucket.Object // nil: failed says why
	failed error
	file   *os.File // nil: there can be no copy, and readers ask the bucket

	mu    sync.Mutex
	users int           // of file: its readers, and the Cache
	n     int64         // bytes that are in the file
	ended bool          // no more will come
	grown chan struct{} // closed and replaced when one of the above changes
}

// open opens the object and the file, and lets readers begin, whatever panics.
func (f *fill) open(ctx context.Context, b *bucket.Bucket, root *os.Root, largest int64) (err error) {
	defer close(f.ready)
	f.failed = errors.New("readcache: the object was not opened")
	f.object, f.failed = b.Get(ctx, f.key)
	switch {
	case f.failed != nil:
	case f.object.Size > largest:
		err = errors.New("the object is larger than before")
	default:
		f.file, err = root.OpenFile(f.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	}
	return err
}

// copy makes the copy, in a temporary file, for a bounded time.
func (f *fill) copy(ctx context.Context, b *bucket.Bucket, root *os.Root, largest int64) (err error) {
	err = f.open(ctx, b, root, largest)
	if f.failed != nil {
		return f.failed
	}
	defer f.object.Close()
	if err != nil {
		return err
	}
	defer func() { f.grow(0, true) }()
	digest, data := sha256.New(), make([]byte, buffer)
	for {
		n, err := f.object.Read(data)
		if _, full := f.file.Write(data[:n]); full != nil {
			return full
		}
		digest.Write(data[:n])
		f.grow(n, false)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if f.n != f.object.Size {
		return fmt.Errorf("%d of %d bytes came", f.n, f.object.Size)
	}
	return seal(f.file, trailer{Key: f.key, Version: f.object.Version(), ModTime: f.object.ModTime}, digest)
}

func (f *fill) grow(n int, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.ended = f.n+int64(n), ended
	close(f.grown)
	f.grown = make(chan struct{})
}

// join counts a user of the file, who calls leave.
func (f *fill) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users++
}

func (f *fill) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users--; f.users == 0 && f.file != nil {
		_ = f.file.Close()
	}
}

// have returns how many bytes from an offset on are in the file. It waits for the next ones,
// and returns 0 if they are not to be waited for.
func (f *fill) have(ctx context.Context, offset int64) int64 {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		f.mu.Lock()
		n, ended, grown := f.n, f.ended, f.grown
		f.mu.Unlock()
		if offset < n {
			return n - offset
		}
		if ended || offset-n > ahead {
			return 0
		}
		select {
		case <-grown:
		case <-timeout.C:
			return 0
		case <-ctx.Done():
			return 0
		}
	}
}

// reader returns a reader of the object for somebody who has joined, once the object is known.
// The error is that of the bucket.
func (f *fill) reader(ctx context.Context) (*reader, error) {
	err := error(nil)
	select {
	case <-f.ready:
		err = f.failed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		f.leave()
		return nil, err
	}
	r := &reader{fill: f, ctx: ctx}
	if f.file == nil {
		err = r.leave()
	}
	return r, err
}

// reader reads an object from its copy, as far as that is made. It changes to the bucket for
// good where it would have to wait for long, or where the copy fails.
type reader struct {
	fill   *fill
	ctx    context.Context
	offset int64
	direct *bucket.Object // nil: from the copy
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.direct != nil {
		return r.direct.Read(p)
	}
	if r.offset >= r.fill.object.Size {
		return 0, io.EOF
	}
	if have := r.fill.have(r.ctx, r.offset); have > 0 {
		n, err := r.fill.file.ReadAt(p[:min(int64(len(p)), have)], r.offset)
		r.offset += int64(n)
		if n > 0 || err == nil {
			return n, nil
		}
	}
	if err := r.leave(); err != nil {
		return 0, err
	}
	return r.direct.Read(p)
}

// leave changes to the bucket.
func (r *reader) leave() error {
	r.fill.leave()
	r.direct = r.fill.object.Again(r.ctx)
	_, err := r.direct.Seek(r.offset, io.SeekStart)
	return err
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	if r.direct != nil {
		return r.direct.Seek(offset, whence)
	}
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.fill.object.Size
	}
	if offset < 0 {
		return 0, errors.New("readcache: seek before the beginning of an object")
	}
	r.offset = offset
	return offset, nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.direct != nil {
		return r.direct.Close()
	}
	r.fill.leave()
	return nil
}
