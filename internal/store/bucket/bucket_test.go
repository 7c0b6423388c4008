package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// realVar names the binary of versitygw. With it the tests of all servers run on that, too.
const realVar = "STORE_TEST_VERSITYGW"

func open(t *testing.T, url string) *Bucket {
	t.Helper()
	l, err := Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	b.backoff.Base, b.backoff.Max = 1, 1
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// everyServer runs a test on a bucket of each server.
func everyServer(t *testing.T, test func(t *testing.T, b *Bucket)) {
	t.Run("fake", func(t *testing.T) { test(t, open(t, buckettest.Start(t).URL)) })
	if binary := os.Getenv(realVar); binary != "" {
		t.Run("versitygw", func(t *testing.T) { test(t, open(t, buckettest.Real(t, binary))) })
	}
}

func create(b *Bucket, key string, data []byte) error {
	_, err := b.Create(context.Background(), key, bytes.NewReader(data))
	return err
}

// read reads an object. On a busy machine the time within which a read is tried again may end
// while the server has faults; then it reads once more.
func read(t *testing.T, b *Bucket, key string) []byte {
	t.Helper()
	for {
		data, modified, err := readOnce(t, b, key)
		switch {
		case errors.Is(err, ErrAway) && t.Context().Err() == nil:
			continue
		case err != nil || modified.IsZero():
			t.Fatalf("%s: %d bytes from %v: %v", key, len(data), modified, err)
		}
		return data
	}
}

func readOnce(t *testing.T, b *Bucket, key string) (data []byte, modified time.Time, err error) {
	t.Helper()
	o, err := b.Get(t.Context(), key)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer o.Close()
	if data, err = io.ReadAll(o); err == nil && int64(len(data)) != o.Size {
		err = fmt.Errorf("it says %d bytes", o.Size)
	}
	return data, o.ModTime, err
}

func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.Read(data)
	return data
}

// sizes are around those at which an object is written in another way.
var sizes = []int{0, 1, smallSize - 1, smallSize, smallSize + 1, partSize, partSize + 1, 2 * partSize}

func TestCreate(t *testing.T) {
	everyServer(t, func(t *testing.T, b *Bucket) {
		for _, size := range sizes {
			first, second := random(size), random(size+1)
			if err := create(b, "results/ab/one.json", first); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			for _, other := range [][]byte{second, first, random(partSize + 5)} {
				if err := create(b, "results/ab/one.json", other); !errors.Is(err, fs.ErrExist) {
					t.Fatalf("created twice, of %d bytes: %v", size, err)
				}
			}
			if got := read(t, b, "results/ab/one.json"); !bytes.Equal(got, first) {
				t.Fatalf("%d bytes came back as %d others", size, len(got))
			}
			if err := b.Put(t.Context(), "results/ab/one.json", second[:min(len(second), smallSize)]); err != nil {
				t.Fatal(err)
			}
			if got := read(t, b, "results/ab/one.json"); !bytes.Equal(got, second[:min(len(second), smallSize)]) {
				t.Fatal("it was not replaced")
			}
			if err := b.Remove(t.Context(), "results/ab/one.json"); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Get(t.Context(), "results/ab/one.json"); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("removed: %v", err)
			}
		}
	})
}

func TestCreateAtOnce(t *testing.T) {
	everyServer(t, func(t *testing.T, b *Bucket) {
		for _, size := range []int{100, smallSize + 1} {
			var wg sync.WaitGroup
			var won atomic.Int32
			var winner []byte
			for range 8 {
				wg.Go(func() {
					data := random(size)
					switch err := create(b, "results/ab/race", data); {
					case err == nil:
						won.Add(1)
						winner = data
					case !errors.Is(err, fs.ErrExist):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || !bytes.Equal(read(t, b, "results/ab/race"), winner) {
				t.Fatalf("%d of 8 writers won", won.Load())
			}
			if err := b.Remove(t.Context(), "results/ab/race"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestSourceFails has streams that break off. Nothing of them must be there.
func TestSourceFails(t *testing.T) {
	s := buckettest.Start(t)
	b := open(t, s.URL)
	broken := errors.New("broken")
	for _, size := range sizes {
		source := io.MultiReader(bytes.NewReader(random(size)), iotest.ErrReader(broken))
		if _, err := b.Create(t.Context(), "files/ab/x", source); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", size, err)
		}
	}
	if len(s.Keys()) > 0 || s.Uploads() > 0 {
		t.Errorf("%v and %d uploads are left", s.Keys(), s.Uploads())
	}
}

func TestSeek(t *testing.T) {
	everyServer(t, func(t *testing.T, b *Bucket) {
		for _, size := range []int{1000, smallSize + 1000} {
			data := random(size)
			if err := create(b, "files/ab/seek", data); err != nil {
				t.Fatal(err)
			}
			o, err := b.Get(t.Context(), "files/ab/seek")
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if err := iotest.TestReader(struct{ io.ReadSeeker }{o}, data); err != nil && size < smallSize {
				t.Error(err) // of a larger one it would make a million requests
			}
			for _, at := range []int64{10, 0, int64(size) - 10, int64(size), int64(size) + 5, 500} {
				got := make([]byte, 10)
				if now, err := o.Seek(at, io.SeekStart); now != at || err != nil {
					t.Fatal(now, err)
				}
				n, err := io.ReadFull(o, got)
				want := data[min(at, int64(size)):min(at+10, int64(size))]
				if !bytes.Equal(got[:n], want) || len(want) == 10 && err != nil || len(want) == 0 && err != io.EOF {
					t.Fatalf("%d bytes at %d: %v", n, at, err)
				}
			}
			if end, err := o.Seek(-3, io.SeekEnd); end != int64(size)-3 || err != nil {
				t.Error(end, err)
			}
			if _, err := o.Seek(-1, io.SeekStart); err == nil {
				t.Error("a seek before the beginning")
			}
			_ = b.Remove(t.Context(), "files/ab/seek")
		}
	})
}

func TestListAndRemove(t *testing.T) {
	everyServer(t, func(t *testing.T, b *Bucket) {
		want := []string{}
		for _, name := range []string{"a.1", "a.2", "a.3", "a.4", "a.5", "a.6", "a.7"} {
			want = append(want, "files/ab/"+name)
		}
		for _, key := range append(slices.Clone(want), "files/ab/b", "files/b/a.1") {
			if err := create(b, key, []byte("12345")); err != nil {
				t.Fatal(err)
			}
		}
		list := func(prefix string) (keys []string) {
			for o, err := range b.List(t.Context(), prefix) {
				if err != nil || o.Size != 5 {
					t.Fatal(o, err)
				}
				keys = append(keys, o.Key)
			}
			return keys
		}
		if diff := cmp.Diff(want, list("files/ab/a.")); diff != "" {
			t.Fatal(diff)
		}
		if err := b.Remove(t.Context(), append(want, "files/ab/absent", "logs/absent")...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"files/ab/b", "files/b/a.1"}, list("files/")); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A list of several pages is whole while requests fail, and ends with its
// context.
func TestLongList(t *testing.T) {
	s := buckettest.Start(t)
	b := open(t, s.URL)
	want := []string{}
	for n := range perPage + 5 {
		key := fmt.Sprintf("files/ab/%05d", n)
		want = append(want, key)
		if err := create(b, key, []byte("12345")); err != nil {
			t.Fatal(err)
		}
	}
	dice := dice{Rand: mathrand.New(mathrand.NewPCG(1, 2))}
	s.Fault = func(*http.Request) buckettest.Fault {
		if dice.roll(20) == 0 {
			return buckettest.Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
		}
		return buckettest.Fault{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var keys []string
	for o, err := range b.List(ctx, "files/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Fatal(diff)
	}
	cancel()
	for _, err := range b.List(ctx, "files/") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of the context: %v", err)
		}
		return
	}
	t.Error("the end of the context is no error")
}

// dice may be rolled by several goroutines.
type dice struct {
	sync.Mutex
	*mathrand.Rand
	row map[string]int // how often the requests for an object failed, one after the other
}

func (d *dice) roll(sides int) int {
	d.Lock()
	defer d.Unlock()
	return d.IntN(sides)
}

// fails reports whether a request is one of the 30 % that fail. The requests for an object fail at most 11 times in a row:
// an operation gives up after 12, which happened by chance once in some hundred runs.
func (d *dice) fails(r *http.Request) bool {
	d.Lock()
	defer d.Unlock()
	fails := d.IntN(10) < 3 && d.row[r.URL.Path] < tries-1
	d.row[r.URL.Path]++
	if !fails {
		d.row[r.URL.Path] = 0
	}
	return fails
}

// TestFaults writes a thousand objects through a server of which 30 % of the requests fail in
// some way. Each object must be there once, and as it was written.
func TestFaults(t *testing.T) {
	s := buckettest.Start(t)
	b := open(t, s.URL)
	dice := dice{Rand: mathrand.New(mathrand.NewPCG(1, 2)), row: map[string]int{}}
	faults := []buckettest.Fault{
		{Status: http.StatusServiceUnavailable, Code: "SlowDown"},
		{Status: http.StatusConflict, Code: "ConditionalRequestConflict"},
		{Status: http.StatusInternalServerError, Code: "InternalError"},
		{Cut: true},
		{Lost: true},
	}
	s.Fault = func(r *http.Request) buckettest.Fault {
		if !dice.fails(r) {
			return buckettest.Fault{}
		}
		return faults[dice.roll(len(faults))]
	}
	var wg sync.WaitGroup
	work := make(chan int)
	for range 32 {
		wg.Go(func() {
			for n := range work {
				key, data := "results/ab/"+rand.Text(), random(n)
				if n%100 == 0 {
					data = random(smallSize + partSize + n)
				}
				if err := create(b, key, data); err != nil {
					t.Errorf("object %d: %v", n, err)
					continue
				}
				if err := create(b, key, []byte("another")); !errors.Is(err, fs.ErrExist) {
					t.Errorf("object %d was created twice: %v", n, err)
				}
				if got := read(t, b, key); !bytes.Equal(got, data) {
					t.Errorf("object %d changed", n)
				}
			}
		})
	}
	for n := range 1000 {
		work <- n
	}
	close(work)
	wg.Wait()
	if keys := s.Keys(); len(keys) != 1000 {
		t.Errorf("%d objects", len(keys))
	}
	t.Logf("%d requests", s.Requests(http.MethodPut)+s.Requests(http.MethodGet)+s.Requests(http.MethodHead)+s.Requests(http.MethodPost))
}

// TestReplacedWhileRead replaces objects that are open. No reader must get a mixture.
func TestReplacedWhileRead(t *testing.T) {
	s := buckettest.Start(t)
	b := open(t, s.URL)
	old, young := bytes.Repeat([]byte("a"), 3*smallSize), bytes.Repeat([]byte("b"), 3*smallSize)
	if err := create(b, "logs/ab/x", old); err != nil {
		t.Fatal(err)
	}
	o, err := b.Get(t.Context(), "logs/ab/x")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := b.Put(t.Context(), "logs/ab/x", young); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Seek(smallSize, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(o); !errors.Is(err, fs.ErrNotExist) || bytes.ContainsRune(data, 'b') {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	// A small one is read in one piece, also if that is cut off and it changes meanwhile.
	var replaced atomic.Bool
	if err := create(b, "logs/ab/y", old[:1000]); err != nil {
		t.Fatal(err)
	}
	s.Fault = func(r *http.Request) buckettest.Fault {
		if r.Method == http.MethodGet && replaced.CompareAndSwap(false, true) {
			return buckettest.Fault{Cut: true}
		}
		if r.Method == http.MethodGet && r.Header.Get("Range") != "" {
			_ = b.Put(context.Background(), "logs/ab/y", young[:500])
		}
		return buckettest.Fault{}
	}
	if got := read(t, b, "logs/ab/y"); !bytes.Equal(got, young[:500]) {
		t.Errorf("%d bytes beginning with %.3q", len(got), got)
	}
}

// TestAnswerWithoutSize has a server, or a proxy, that does not say how long an object is.
func TestAnswerWithoutSize(t *testing.T) {
	s := buckettest.Start(t)
	b := open(t, s.URL)
	if err := create(b, "results/ab/x", []byte("text")); err != nil {
		t.Fatal(err)
	}
	s.Fault = func(*http.Request) buckettest.Fault { return buckettest.Fault{Bare: true} }
	if _, err := b.Get(t.Context(), "results/ab/x"); err == nil || !strings.Contains(err.Error(), "size") {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		fault    buckettest.Fault
		bucket   string
		careless bool
		want     string
	}{
		"no bucket":      {bucket: "absent", want: "there is no such bucket"},
		"key":            {fault: buckettest.Fault{Status: 403, Code: "InvalidAccessKeyId"}, want: "AWS_ACCESS_KEY_ID"},
		"secret":         {fault: buckettest.Fault{Status: 403, Code: "SignatureDoesNotMatch"}, want: "AWS_SECRET_ACCESS_KEY"},
		"clock":          {fault: buckettest.Fault{Status: 403, Code: "RequestTimeTooSkewed"}, want: "set the clock"},
		"permission":     {fault: buckettest.Fault{Status: 403, Code: "AccessDenied"}, want: "s3:PutObject"},
		"full":           {fault: buckettest.Fault{Status: 507, Code: "XMinioStorageFull"}, want: "no room"},
		"not a store":    {fault: buckettest.Fault{Status: 501, Code: "NotImplemented"}, want: "lacks something"},
		"no conditions":  {careless: true, want: "ignores If-None-Match"},
		"another answer": {fault: buckettest.Fault{Status: 404, Code: ""}, want: "s3://"},
	} {
		t.Run(name, func(t *testing.T) {
			s := buckettest.Start(t)
			s.Careless = test.careless
			if test.fault.Status != 0 {
				s.Fault = func(*http.Request) buckettest.Fault { return test.fault }
			}
			url := s.URL
			if test.bucket != "" {
				url = strings.Replace(url, buckettest.Name, test.bucket, 1)
			}
			l, err := Parse(url)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), l)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "test-secret") {
				t.Errorf("%v", err)
			}
			if keys := s.Keys(); len(keys) > 0 {
				t.Errorf("%v is left", keys)
			}
		})
	}
}

// TestRules has lifecycle rules. Only one that deletes objects of the pool is refused.
func TestRules(t *testing.T) {
	const deletes = "<Expiration><Days>30</Days></Expiration>"
	for rule, refused := range map[string]bool{
		"<Status>Enabled</Status><Filter></Filter>" + deletes:                                                                                                    true,
		"<Status>Enabled</Status><Prefix></Prefix>" + deletes:                                                                                                    true,
		"<Status>Enabled</Status><Filter><Prefix>pool/logs/</Prefix></Filter>" + deletes:                                                                         true,
		"<Status>Enabled</Status><Filter><Prefix>po</Prefix></Filter>" + deletes:                                                                                 true,
		"<Status>Enabled</Status><Filter><And><Prefix>pool/</Prefix></And></Filter>" + deletes:                                                                   true,
		"<Status>Disabled</Status><Filter></Filter>" + deletes:                                                                                                   false,
		"<Status>Enabled</Status><Filter><Prefix>other/</Prefix></Filter>" + deletes:                                                                             false,
		"<Status>Enabled</Status><Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>" + deletes:                                                             false,
		"<Status>Enabled</Status><Filter></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>": false,
	} {
		s := buckettest.Start(t)
		s.Rules = "<LifecycleConfiguration><Rule><ID>tidy</ID>" + rule + "</Rule></LifecycleConfiguration>"
		l, err := Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), l)
		if err == nil {
			_ = b.Close()
		}
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), `"tidy"`) {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

func TestRealRefuses(t *testing.T) {
	binary := os.Getenv(realVar)
	if binary == "" {
		return // only "make test-s3" has the server
	}
	url := buckettest.Real(t, binary)
	for _, test := range []struct{ variable, value, want string }{
		{"AWS_ACCESS_KEY_ID", "other", "AWS_ACCESS_KEY_ID"},
		{"AWS_SECRET_ACCESS_KEY", "other", "AWS_SECRET_ACCESS_KEY"},
	} {
		t.Run(test.variable, func(t *testing.T) {
			t.Setenv(test.variable, test.value)
			l, err := Parse(url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = Open(t.Context(), l); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Error(err)
			}
		})
	}
	for change, want := range map[string]string{"&region=eu-west-9": "set endpoint and region", "": ""} {
		l, err := Parse(url + change)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), l)
		if want == "" && err == nil {
			_ = b.Close()
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
	l, err := Parse(strings.Replace(url, buckettest.Name, "absent", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), l); err == nil || !strings.Contains(err.Error(), "no such bucket") {
		t.Error(err)
	}
}

func TestUntrusted(t *testing.T) {
	l, err := Parse("s3://results?endpoint=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Look(l)
	if err != nil {
		t.Fatal(err)
	}
	b.backoff.Base, b.backoff.Max = 1, 1
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
	if err := b.Explain(b.Put(t.Context(), "probe/x", nil)); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	for raw, want := range map[string]Location{
		"s3://results":                                  {Bucket: "results", Endpoint: "s3.amazonaws.com", Secure: true},
		"S3://results/":                                 {Bucket: "results", Endpoint: "s3.amazonaws.com", Secure: true},
		"s3://results/a/b/?region=eu-west-1":            {Bucket: "results", Prefix: "a/b/", Endpoint: "s3.amazonaws.com", Secure: true, Region: "eu-west-1"},
		"s3://r-1/p?endpoint=http://10.0.0.1:9000":      {Bucket: "r-1", Prefix: "p/", Endpoint: "10.0.0.1:9000", Region: "us-east-1"},
		"s3://r-1/p?endpoint=minio.example&region=here": {Bucket: "r-1", Prefix: "p/", Endpoint: "minio.example", Secure: true, Region: "here"},
	} {
		got, err := Parse(raw)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", raw, err, diff)
		}
		again, err := Parse(got.String())
		if diff := cmp.Diff(want, again); diff != "" || err != nil {
			t.Errorf("%s: %s: %v %s", raw, got, err, diff)
		}
	}
	for raw, want := range map[string]string{
		"s3:":                           "write s3://",
		"s3://ab":                       "3 to 63",
		"s3://a b":                      "not a URL",
		"s3://résults":                  "3 to 63",
		"s3:///x":                       "write s3://",
		"s3://key:secret@results":       "holds no keys",
		"s3://results/../x":             "prefix",
		"s3://results/a//b":             "prefix",
		"s3://results/a b":              "prefix",
		"s3://results?endpoint=ftp://x": "endpoint",
		"s3://results?endpoint=http://u:secret@x":  "endpoint",
		"s3://results?endpoint=http://x/path":      "endpoint",
		"s3://results?secret=secret":               "may have endpoint and region",
		"s3://results?region=a&region=b":           "may have endpoint and region",
		"s3://results#x":                           "write s3://",
		"s3://\x7f":                                "not a URL",
		"s3://results/" + strings.Repeat("x", 257): "longer",
	} {
		if _, err := Parse(raw); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%.60s: %v", raw, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("s3://results/a/b?endpoint=http://127.0.0.1:9000&region=x")
	f.Fuzz(func(t *testing.T, raw string) {
		l, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := Parse(l.String())
		if err != nil || again != l {
			t.Errorf("%q gives %q: %+v is %+v: %v", raw, l.String(), l, again, err)
		}
	})
}

// TestBounds has servers that fail without end. No call may take for ever.
func TestBounds(t *testing.T) {
	s := buckettest.Start(t)
	b := open(t, s.URL)
	s.Fault = func(*http.Request) buckettest.Fault { return buckettest.Fault{Status: 503, Code: "SlowDown"} }
	before := s.Requests(http.MethodPut)
	if err := create(b, "results/ab/x", []byte("x")); err == nil || errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if n := s.Requests(http.MethodPut) - before; n != tries {
		t.Errorf("%d requests", n)
	}
	s.Fault = func(*http.Request) buckettest.Fault { return buckettest.Fault{Cut: true} }
	if err := b.Put(t.Context(), "results/ab/y", random(2000)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Create(ctx, "results/ab/z", bytes.NewReader(nil)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for range largeAtOnce {
		b.large <- struct{}{}
	}
	if _, err := b.Create(ctx, "results/ab/z", io.LimitReader(zeros{}, math.MaxInt64)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
