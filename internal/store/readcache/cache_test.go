package readcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/store/bucket"
	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
)

// childVar makes the test binary a process that copies an object and is killed.
const childVar = "READCACHE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	id       = "01990000-0000-7000-8000-0000000000ab"
	patient  = time.Minute // bounds every wait of a test
	testSize = 300_000
)

func key(n int) string { return fmt.Sprintf("files/ab/%s.1.file%d", id, n) }

func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func openBucket(t testing.TB, url string) *bucket.Bucket {
	t.Helper()
	l, err := bucket.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bucket.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func openCache(t testing.TB, b *bucket.Bucket, cfg Config) *Cache {
	t.Helper()
	if cfg.Folder == "" {
		cfg.Folder = t.TempDir()
	}
	if cfg.Limit == 0 {
		cfg.Limit = 64 << 20
	}
	if cfg.Room == nil {
		cfg.Room = func() int64 { return 1 << 40 }
	}
	c, err := Open(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func create(t testing.TB, b *bucket.Bucket, key string, data []byte) {
	t.Helper()
	if _, err := b.Create(context.Background(), key, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

// read reads an object and compares it.
func read(t testing.TB, c *Cache, key string, want []byte) {
	t.Helper()
	o, err := c.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if err != nil || !bytes.Equal(got, want) || o.Size != int64(len(want)) || o.ModTime.IsZero() {
		t.Fatalf("%s: %d of %d bytes from %v, want %d: %v", key, len(got), o.Size, o.ModTime, len(want), err)
	}
}

// copied reads an object until its copy is made.
func copied(t testing.TB, c *Cache, key string, want []byte) {
	t.Helper()
	read(t, c, key, want)
	read(t, c, key, want)
	c.copying.Wait()
	if c.entry(key) == nil {
		t.Fatalf("%s is not copied", key)
	}
}

func (c *Cache) entry(key string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.index.entries[nameOf(key)]; at != nil {
		return at.Value.(*entry)
	}
	return nil
}

// stale makes the cache ask the bucket at the next read.
func (c *Cache) stale(key string) {
	e := c.entry(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	e.asked = e.asked.Add(-trusted)
}

// files returns the names in the folder.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestSecondReadMakesACopy(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	c := openCache(t, b, Config{})
	data := random(1, testSize)
	create(t, b, key(1), data)
	before, heads := s.Requests(http.MethodGet), s.Requests(http.MethodHead)
	read(t, c, key(1), data)
	if n := files(t, c.cfg.Folder); len(n) > 0 {
		t.Errorf("the first read left %v", n)
	}
	read(t, c, key(1), data)
	c.copying.Wait()
	for range 5 {
		read(t, c, key(1), data)
	}
	if n := s.Requests(http.MethodGet) - before; n != 2 || s.Requests(http.MethodHead) != heads {
		t.Errorf("%d GETs, %d HEADs", n, s.Requests(http.MethodHead))
	}
	if now := c.Stats(); now != (Stats{Hits: 5, Misses: 2, Bytes: testSize}) {
		t.Errorf("%+v", now)
	}
	o, err := c.Get(t.Context(), key(1))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := iotest.TestReader(struct{ io.ReadSeeker }{o}, data); err != nil {
		t.Error(err)
	}
	c.stale(key(1))
	read(t, c, key(1), data)
	if n := s.Requests(http.MethodHead) - heads; n != 1 {
		t.Errorf("%d HEADs for an old copy", n)
	}
}

// TestReadersAtOnce has many readers of an object that is not copied yet. The bucket is asked
// once, and one that goes away does the others no harm.
func TestReadersAtOnce(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	c := openCache(t, b, Config{})
	data := random(1, testSize)
	create(t, b, key(1), data)
	read(t, c, key(1), data)
	before := s.Requests(http.MethodGet)
	release := make(chan struct{})
	s.Fault = func(*http.Request) buckettest.Fault { <-release; return buckettest.Fault{} }
	gone, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	const readers = 40
	for i := range readers {
		wg.Go(func() {
			if i > 0 {
				read(t, c, key(1), data)
				return
			}
			if _, err := c.Get(gone, key(1)); !errors.Is(err, context.Canceled) {
				t.Errorf("it went away: %v", err)
			}
		})
	}
	until(t, "all wait", func() bool { n := c.Stats(); return n.Hits+n.Misses == readers+1 })
	leave()
	close(release)
	wg.Wait()
	if n := s.Requests(http.MethodGet) - before; n != 1 {
		t.Errorf("%d requests for %d readers", n, readers)
	}
}

// stalling returns the URL of the bucket of s through a server that stops in the middle of
// each whole object until it is released.
func stalling(t *testing.T, s *buckettest.Server, after int) (url string, release func()) {
	t.Helper()
	free := make(chan struct{})
	release = sync.OnceFunc(func() { close(free) })
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Range") != "" || !strings.Contains(r.URL.Path, "/files/") {
			s.ServeHTTP(w, r)
			return
		}
		s.ServeHTTP(&stallingWriter{w, after, free}, r)
	}))
	t.Cleanup(front.Close)
	t.Cleanup(release)
	t.Cleanup(front.CloseClientConnections)
	at := strings.Index(s.URL, "endpoint=")
	return s.URL[:at] + "endpoint=" + front.URL, release
}

type stallingWriter struct {
	http.ResponseWriter
	after int
	free  chan struct{}
}

func (w *stallingWriter) Write(p []byte) (int, error) {
	if len(p) <= w.after {
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p[:w.after])
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	<-w.free
	if err == nil {
		var more int
		more, err = w.ResponseWriter.Write(p[w.after:])
		n += more
	}
	return n, err
}

// TestReadersOfACopyThatIsMade reads while the copy stands still in the middle.
func TestReadersOfACopyThatIsMade(t *testing.T) {
	s := buckettest.Start(t)
	const size, after = 4 << 20, 2 << 20
	data := random(1, size)
	url, release := stalling(t, s, after)
	b := openBucket(t, url)
	create(t, b, key(1), data)
	c := openCache(t, b, Config{})
	c.note(nameOf(key(1)), size)

	first, err := c.Get(t.Context(), key(1))
	if err != nil {
		t.Fatal(err)
	}
	half := make([]byte, after)
	if _, err := io.ReadFull(first, half); err != nil || !bytes.Equal(half, data[:after]) {
		t.Fatalf("the first half: %v", err)
	}
	_ = first.Close() // who has enough goes; the copy is made to its end

	far, err := c.Get(t.Context(), key(1))
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if at, err := far.Seek(-10, io.SeekEnd); at != size-10 || err != nil {
		t.Fatal(at, err)
	}
	if end, err := io.ReadAll(far); err != nil || !bytes.Equal(end, data[size-10:]) {
		t.Errorf("the end: %d bytes, %v", len(end), err)
	}
	read(t, c, key(1), data) // this one loses its patience in the middle
	if c.entry(key(1)) != nil {
		t.Error("the copy is there before its end came")
	}
	release()
	until(t, "the copy is made", func() bool { return c.entry(key(1)) != nil })
	read(t, c, key(1), data)
}

// TestRemovedElsewhere removes and writes objects without the cache's knowing.
func TestRemovedElsewhere(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	c := openCache(t, b, Config{})
	data := random(1, testSize)
	create(t, b, key(1), data)
	copied(t, c, key(1), data)
	if err := b.Remove(t.Context(), key(1)); err != nil {
		t.Fatal(err)
	}
	c.stale(key(1))
	if _, err := c.Get(t.Context(), key(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
	if n := files(t, c.cfg.Folder); len(n) > 0 || c.Stats().Bytes > 0 {
		t.Errorf("left: %v, %+v", n, c.Stats())
	}
	create(t, b, key(1), data)
	copied(t, c, key(1), data)
	other := random(2, testSize)
	if err := b.Put(t.Context(), key(1), other); err != nil {
		t.Fatal(err)
	}
	c.stale(key(1))
	read(t, c, key(1), other)
}

// TestTheSameBytesAreAnotherObject: an ETag may be that of another encryption, or none of a
// digest. The name of the write tells.
func TestTheSameBytesAreAnotherObject(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	c := openCache(t, b, Config{})
	create(t, b, key(1), []byte("text"))
	copied(t, c, key(1), []byte("text"))
	if err := b.Put(t.Context(), key(1), []byte("text")); err != nil {
		t.Fatal(err)
	}
	c.stale(key(1))
	before := c.Stats().Misses
	read(t, c, key(1), []byte("text"))
	if c.Stats().Misses != before+1 {
		t.Error("the copy of another write was read")
	}
}

// TestForgottenWhileItIsCopied forgets an object while it is copied: the copy is not to stay.
func TestForgottenWhileItIsCopied(t *testing.T) {
	for name, forget := range map[string]func(*Cache){
		"key": func(c *Cache) { c.Forget(key(1)) },
		"job": func(c *Cache) { c.ForgetJobs([]string{"x", id}) },
		"all": (*Cache).Clear,
	} {
		t.Run(name, func(t *testing.T) {
			s := buckettest.Start(t)
			url, release := stalling(t, s, 1000)
			b := openBucket(t, url)
			data := random(1, 2<<20) // a smaller one is read before its copy is begun
			create(t, b, key(1), data)
			create(t, b, key(0), data[:testSize])
			c := openCache(t, b, Config{})
			c.note(nameOf(key(1)), testSize)
			o, err := c.fillOf(t, key(1))
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			forget(c)
			release()
			c.copying.Wait()
			if n := files(t, c.cfg.Folder); c.entry(key(1)) != nil || len(n) > 0 {
				t.Errorf("the copy stays: %v", n)
			}
			copied(t, c, key(0), data[:testSize])
			forget(c)
			if left := c.entry(key(0)) != nil; left != (name == "key") {
				t.Errorf("another object of the job is there: %t", left)
			}
		})
	}
}

// fillOf begins a copy whose first bytes have come.
func (c *Cache) fillOf(t *testing.T, key string) (io.Closer, error) {
	f := c.fill(key, nameOf(key))
	if f == nil {
		t.Fatal("no copy was begun")
	}
	until(t, "the copy has begun", func() bool { return len(files(t, c.cfg.Folder)) > 0 || c.ctx.Err() != nil })
	return f.reader(t.Context())
}

func TestCopiesAreWithinTheLimit(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	c := openCache(t, b, Config{Limit: 10_000})
	data := random(1, 1000)
	for n := range 12 {
		create(t, b, key(n), data)
		copied(t, c, key(n), data)
		read(t, c, key(0), data) // it stays
	}
	if now := c.Stats().Bytes; now != 10_000 || len(files(t, c.cfg.Folder)) != 10 {
		t.Errorf("%d bytes in %v", now, files(t, c.cfg.Folder))
	}
	if c.entry(key(0)) == nil || c.entry(key(1)) != nil || c.entry(key(2)) != nil || c.entry(key(11)) == nil {
		t.Error("other copies went than those that were not read for longest")
	}
	// One of more than an eighth is never copied.
	large := random(2, 1251)
	create(t, b, key(20), large)
	for range 4 {
		read(t, c, key(20), large)
	}
	if c.entry(key(20)) != nil {
		t.Error("a large object is copied")
	}
}

func TestTooManyAndUnusedCopies(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	x, err := openIndex(root, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	for n := range maxFiles + 10 {
		x.add(&entry{name: fmt.Sprint(n), size: 1, used: time.Now()})
		x.shrink(1 << 40)
	}
	if len(x.entries) != maxFiles || x.bytes != maxFiles || x.entries["9"] != nil || x.entries["10"] == nil {
		t.Errorf("%d copies of %d bytes", len(x.entries), x.bytes)
	}
	for at := x.order.Front(); at != nil; at = at.Next() {
		if at != x.order.Front() {
			at.Value.(*entry).used = time.Now().Add(-maxUnused)
		}
	}
	if x.shrink(1 << 40); len(x.entries) != 1 {
		t.Errorf("%d copies of which one is used", len(x.entries))
	}
}

func TestNoRoom(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	var room atomic.Int64
	c := openCache(t, b, Config{Room: room.Load})
	data := random(1, testSize)
	create(t, b, key(1), data)
	room.Store(testSize - 1)
	for range 4 {
		read(t, c, key(1), data)
	}
	if n := files(t, c.cfg.Folder); len(n) > 0 {
		t.Errorf("copied without room: %v", n)
	}
	room.Store(testSize)
	copied(t, c, key(1), data)
}

// TestStartAgain opens a folder again: with whole copies, with damaged ones, with a lower limit.
func TestStartAgain(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	dir := t.TempDir()
	c := openCache(t, b, Config{Folder: dir})
	data := make([][]byte, 5)
	for n := range data {
		data[n] = random(uint64(n), testSize)
		create(t, b, key(n), data[n])
		copied(t, c, key(n), data[n])
		old := time.Now().Add(time.Duration(n-10) * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, fileOf(nameOf(key(n)), testSize)), old, old); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	damage := map[int]func(*os.File) error{
		1: func(f *os.File) error { _, err := f.WriteAt([]byte("x"), testSize/2); return err },
		2: func(f *os.File) error { return f.Truncate(testSize - 1) },
		3: func(f *os.File) error { return f.Truncate(0) },
	}
	for n, f := range damage {
		file, err := os.OpenFile(filepath.Join(dir, fileOf(nameOf(key(n)), testSize)), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := file.Stat(); f(file) != nil || file.Close() != nil || info.Size() < testSize {
			t.Fatal("not damaged")
		}
		old := time.Now().Add(time.Duration(n-10) * time.Hour)
		_ = os.Chtimes(file.Name(), old, old)
	}
	for _, name := range []string{"tmp.abc", "notes.txt", id + ".x", id + ".x.-1", id + ".x.01"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c = openCache(t, b, Config{Folder: dir, Limit: 4 * testSize})
	if _, err := os.Stat(filepath.Join(dir, "tmp.abc")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("half a copy is left")
	}
	if c.Stats().Bytes != 4*testSize || c.entry(key(0)) != nil {
		t.Errorf("the oldest copy stays: %+v", c.Stats())
	}
	before, heads := s.Requests(http.MethodGet), s.Requests(http.MethodHead)
	for n := range data {
		read(t, c, key(n), data[n])
	}
	if gets, asked := s.Requests(http.MethodGet)-before, s.Requests(http.MethodHead)-heads; gets != 4 || asked != 1 {
		t.Errorf("%d GETs, %d HEADs: one of five copies was good", gets, asked)
	}
}

// TestBucketAway reads copies while the bucket does not answer.
func TestBucketAway(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	dir := t.TempDir()
	c := openCache(t, b, Config{Folder: dir})
	data := random(1, testSize)
	create(t, b, key(1), data)
	copied(t, c, key(1), data)
	fault := buckettest.Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
	s.Fault = func(*http.Request) buckettest.Fault { return fault }
	c.stale(key(1))
	read(t, c, key(1), data)
	_ = c.Close()
	c = openCache(t, b, Config{Folder: dir})
	if _, err := c.Get(t.Context(), key(1)); !errors.Is(err, bucket.ErrAway) {
		t.Errorf("a copy from before the start: %v", err)
	}
	fault = buckettest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
	if _, err := c.Get(t.Context(), key(1)); err == nil {
		t.Error("a copy was read without permission")
	}
}

// TestReadsUnderFaults reads and removes objects at once through a server with faults. No read
// that succeeds may have other bytes than the object.
func TestReadsUnderFaults(t *testing.T) {
	s := buckettest.Start(t)
	b := openBucket(t, s.URL)
	c := openCache(t, b, Config{Limit: 16 * testSize})
	c.trusted = 0
	var data [12][]byte
	for n := range data {
		data[n] = random(uint64(n), testSize/(n+1))
		create(t, b, key(n), data[n])
	}
	s.Fault = func(r *http.Request) buckettest.Fault {
		switch rand.IntN(10) {
		case 0:
			return buckettest.Fault{Cut: true}
		case 1:
			return buckettest.Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
		}
		return buckettest.Fault{}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 60 {
				n := rand.IntN(len(data))
				o, err := c.Get(t.Context(), key(n))
				if err != nil {
					continue
				}
				at := rand.Int64N(o.Size)
				_, _ = o.Seek(at, io.SeekStart)
				if got, err := io.ReadAll(o); err == nil && !bytes.Equal(got, data[n][at:]) {
					t.Errorf("object %d from %d on is another", n, at)
				}
				_ = o.Close()
				switch rand.IntN(20) {
				case 0:
					c.Forget(key(n))
				case 1:
					c.Clear()
				}
			}
		})
	}
	wg.Wait()
	c.copying.Wait()
	if c.Stats().Hits == 0 {
		t.Error("no copy was read")
	}
	for _, name := range files(t, c.cfg.Folder) {
		if strings.HasPrefix(name, tempPrefix) {
			t.Errorf("%s is left", name)
		}
	}
}
