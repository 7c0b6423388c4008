package readcache

import (
	"io"
	"os"
	"testing"

	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
)

// BenchmarkRead reads an artifact of 1 MiB from the bucket and from its copy, on versitygw if
// STORE_TEST_VERSITYGW names it.
func BenchmarkRead(b *testing.B) {
	url := ""
	if binary := os.Getenv("STORE_TEST_VERSITYGW"); binary != "" {
		url = buckettest.Real(b, binary)
	} else {
		url = buckettest.Start(b).URL
	}
	bucket := openBucket(b, url)
	data := random(1, 1<<20)
	create(b, bucket, key(1), data)
	c := openCache(b, bucket, Config{})
	copied(b, c, key(1), data)
	for name, open := range map[string]func() (io.ReadCloser, error){
		"bucket": func() (io.ReadCloser, error) { return bucket.Get(b.Context(), key(1)) },
		"copy":   func() (io.ReadCloser, error) { return c.Get(b.Context(), key(1)) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				o, err := open()
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, o); n != 1<<20 || err != nil {
					b.Fatal(n, err)
				}
				_ = o.Close()
			}
		})
	}
}
