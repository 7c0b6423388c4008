// Package readcache keeps copies of objects of a bucket in a folder of one node: of those that
// never change and are read more than once. A copy is whole or not there, whatever is killed.
package readcache

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/store/bucket"
)

const (
	// trusted is how long a copy is read before the bucket is asked again whether it has that
	// version of the object. Meanwhile the copy of an object is read that was removed by hand;
	// of a deleted job nothing is asked for, because the ledger is asked first.
	trusted = 10 * time.Second
	// askTime bounds that question, with the check of a copy from before the start.
	askTime = time.Minute
	// share is the part of the limit that one object may have: a large one would drive out all
	// others, and is read by ranges.
	share = 8
	// maxObject bounds an object whatever the limit is, because a copy is read as a whole when
	// it is checked.
	maxObject = 1 << 30
	// maxFills bounds the copies that are being made, and fillTime the time of one.
	maxFills = 4
	fillTime = 10 * time.Minute
	// maxSeen bounds what is remembered of reads, and seenTime for how long.
	maxSeen  = 4096
	seenTime = 10 * time.Minute
	// warnEvery is the least time between two warnings.
	warnEvery = time.Minute
)

// Config of a Cache. All of it is required but Logger.
type Config struct {
	Folder string
	// Limit bounds the bytes of all copies.
	Limit int64
	// Room returns how many bytes the copies may still take of their disk.
	Room   func() int64
	Logger *slog.Logger
}

// Cache is the copies of the objects of one bucket. The methods of a nil Cache, which has
// none, do nothing.
type Cache struct {
	cfg     Config
	bucket  *bucket.Bucket
	root    *os.Root
	largest int64
	asking  singleflight.Group // by name
	trusted time.Duration

	ctx     context.Context // of what is being copied
	cancel  context.CancelFunc
	copying sync.WaitGroup

	hits, misses atomic.Int64

	mu     sync.Mutex       // guards what follows
	index  *index           //
	fills  map[string]*fill // by name
	seen   map[string]int64 // the sizes of objects that were read since
	since  time.Time
	warned time.Time
}

// Open opens the cache in a folder, which it makes. It belongs to one process at a time. The
// caller closes it.
func Open(b *bucket.Bucket, cfg Config) (*Cache, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if err := os.MkdirAll(cfg.Folder, 0o750); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	root, err := os.OpenRoot(cfg.Folder)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	x, err := openIndex(root, cfg.Limit)
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("cache: %w", err)
	}
	c := &Cache{
		cfg: cfg, bucket: b, root: root, largest: min(cfg.Limit/share, maxObject), trusted: trusted,
		index: x, fills: map[string]*fill{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close gives up the copies that are being made. Open objects stay open.
func (c *Cache) Close() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	c.cancel() // no copy is begun from now on
	c.mu.Unlock()
	c.copying.Wait()
	return c.root.Close()
}

// Object is an open object. The caller closes it.
type Object struct {
	io.ReadSeekCloser
	Size    int64 // bytes
	ModTime time.Time
}

// Get opens an object that never changes; fs.ErrNotExist where the bucket has none. ctx bounds
// its reads.
//
// The first read of an object goes to the bucket. The second one within some minutes makes the
// copy: most objects are read once, and their copies would only drive out others and write to
// the disk of the ledger. Who reads while a copy is made reads from the copy.
func (c *Cache) Get(ctx context.Context, key string) (Object, error) {
	name := nameOf(key)
	if o, err := c.hit(ctx, key, name); o.ReadSeekCloser != nil || err != nil {
		return o, err
	}
	if f := c.fill(key, name); f != nil {
		r, err := f.reader(ctx)
		if err != nil {
			return Object{}, err
		}
		return Object{r, f.object.Size, f.object.ModTime}, nil
	}
	c.misses.Add(1)
	o, err := c.bucket.Get(ctx, key)
	if err != nil {
		return Object{}, err
	}
	c.note(name, o.Size)
	return Object{o, o.Size, o.ModTime}, nil
}

// errNoCopy says that there is no copy, or none any more.
var errNoCopy = errors.New("no copy")

// hit opens the copy of an object. The zero Object says that there is none.
func (c *Cache) hit(ctx context.Context, key, name string) (Object, error) {
	c.mu.Lock()
	e := c.index.get(name)
	c.mu.Unlock()
	if e == nil {
		return Object{}, nil
	}
	if time.Since(e.asked) >= c.trusted {
		v, err, _ := c.asking.Do(name, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
			defer cancel()
			return c.confirm(ctx, key, name)
		})
		if errors.Is(err, errNoCopy) {
			return Object{}, nil
		}
		if err != nil {
			return Object{}, err
		}
		e = v.(*entry)
	}
	file, err := c.root.Open(fileOf(name, e.size))
	if err != nil {
		c.lose(name)
		return Object{}, nil
	}
	c.hits.Add(1)
	return Object{section{io.NewSectionReader(file, 0, e.size), file}, e.size, e.modTime}, nil
}

// section is the part of a file that is the object.
type section struct {
	*io.SectionReader
	io.Closer
}

// confirm asks the bucket whether a copy is still that of its object. One from before the start
// is checked first.
func (c *Cache) confirm(ctx context.Context, key, name string) (*entry, error) {
	c.mu.Lock()
	e := c.index.get(name)
	c.mu.Unlock()
	if e == nil {
		return nil, errNoCopy
	}
	if !e.checked {
		if err := c.check(e); err != nil {
			c.lose(name)
			c.warn("a copy of an object is damaged; it is removed", err)
			return nil, errNoCopy
		}
	}
	asked := time.Now()
	version, err := c.bucket.Version(ctx, key)
	switch {
	case errors.Is(err, bucket.ErrAway) && !e.asked.IsZero():
		// It was the object when the bucket answered last, and no object changes.
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil || version != e.version || key != e.key:
		c.lose(name)
		return nil, cmp.Or(err, errNoCopy)
	}
	e.asked = asked
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.index.entries[name]
	if at == nil {
		return nil, errNoCopy // it was removed meanwhile
	}
	*at.Value.(*entry) = *e
	_ = c.root.Chtimes(fileOf(name, e.size), asked, asked) // the order after the next start
	return e, nil
}

// check reads the file of an entry and fills in what is known of it.
func (c *Cache) check(e *entry) error {
	file, err := c.root.Open(fileOf(e.name, e.size))
	if err != nil {
		return err
	}
	defer file.Close()
	t, err := check(file, e.size)
	e.checked, e.key, e.version, e.modTime = true, t.Key, t.Version, t.ModTime
	return err
}

// note remembers that an object was read.
func (c *Cache) note(name string, size int64) {
	if name == "" || size > c.largest {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) >= maxSeen || time.Since(c.since) > seenTime {
		c.seen, c.since = map[string]int64{}, time.Now()
	}
	c.seen[name] = size
}

// fill joins the copy of an object that is being made, which it begins if that is due; nil if
// there is none.
func (c *Cache) fill(key, name string) *fill {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.fills[name]; f != nil {
		c.hits.Add(1)
		f.join()
		return f
	}
	size, seen := c.seen[name]
	if !seen || c.ctx.Err() != nil || len(c.fills) >= maxFills || c.cfg.Room() < size {
		return nil
	}
	f := &fill{
		key: key, name: name, size: size, temp: tempPrefix + rand.Text(), began: time.Now(),
		ready: make(chan struct{}), users: 2, grown: make(chan struct{}),
	}
	c.fills[name] = f
	delete(c.seen, name)
	c.shrink()
	c.misses.Add(1)
	c.copying.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, fillTime)
		defer cancel()
		c.filled(f, panics.Call(func() error { return f.copy(ctx, c.bucket, c.root, c.largest) }))
		f.leave()
	})
	return f
}

// shrink makes room for the copies that are being made.
func (c *Cache) shrink() {
	limit := c.cfg.Limit
	for _, f := range c.fills {
		limit -= f.size
	}
	c.index.shrink(limit)
}

// filled makes the copy one that is read, or removes it.
func (c *Cache) filled(f *fill, err error) {
	c.mu.Lock()
	if c.fills[f.name] == f {
		delete(c.fills, f.name)
	}
	if err == nil && !f.dropped {
		if err = c.root.Rename(f.temp, fileOf(f.name, f.object.Size)); err == nil {
			c.index.add(&entry{
				name: f.name, size: f.object.Size, used: time.Now(), asked: f.began,
				checked: true, key: f.key, version: f.object.Version(), modTime: f.object.ModTime,
			})
			c.shrink()
		}
	}
	c.mu.Unlock()
	if err != nil || f.dropped {
		_ = c.root.Remove(f.temp)
	}
	if err != nil && f.failed == nil && c.ctx.Err() == nil {
		c.warn("an object of the bucket cannot be copied; it is read from the bucket", err)
	}
}

// Forget drops the copy of an object, because that was written or removed.
func (c *Cache) Forget(key string) {
	if c != nil {
		c.lose(nameOf(key))
	}
}

// ForgetJobs drops the copies of all objects of jobs.
func (c *Cache) ForgetJobs(ids []string) {
	jobs := map[string]bool{}
	for _, id := range ids {
		jobs[id] = true
	}
	c.forget(func(name string) bool { return jobs[idOf(name)] })
}

// Clear drops all copies.
func (c *Cache) Clear() { c.forget(func(string) bool { return true }) }

func (c *Cache) forget(which func(name string) bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	var names []string
	for name := range c.index.entries {
		if which(name) {
			names = append(names, name)
		}
	}
	for name := range c.fills {
		if which(name) {
			names = append(names, name)
		}
	}
	c.mu.Unlock()
	for _, name := range names {
		c.lose(name)
	}
}

// lose drops a copy, and one that is being made: its object may have been read before it was
// removed.
func (c *Cache) lose(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.drop(name)
	if f := c.fills[name]; f != nil {
		f.dropped = true
		delete(c.fills, name)
	}
}

// Stats are the figures of a cache since it was opened.
type Stats struct {
	Hits   int64 // reads of a copy
	Misses int64 // reads of the bucket
	Bytes  int64 // of all copies now
}

// Stats returns the figures of the cache.
func (c *Cache) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{c.hits.Load(), c.misses.Load(), c.index.bytes}
}

func (c *Cache) warn(text string, err error) {
	c.mu.Lock()
	due := time.Since(c.warned) >= warnEvery
	if due {
		c.warned = time.Now()
	}
	c.mu.Unlock()
	if due {
		c.cfg.Logger.Warn(text, "folder", c.cfg.Folder, "err", err)
	}
}
