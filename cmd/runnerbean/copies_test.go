package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestCopiesOfABucket has two nodes with one bucket. One keeps copies of an artifact and of a
// large result; the other deletes the job. Nothing of it may be left to read, nor on the disk.
func TestCopiesOfABucket(t *testing.T) {
	bucket := buckettest.Start(t)
	p := newNode(t, queuetest.Start(t).Addr)
	other := p.beside("n2")
	for _, n := range []*process{p, other} {
		n.env = append(n.env, "RUNNERBEAN_STORE="+bucket.URL, "RUNNERBEAN_MIN_FREE=1MiB")
	}
	p.install("leaves", "head -c 1000000 /dev/zero > out/zeros.bin; head -c 700000 /dev/zero | tr '\\0' 9")
	p.start("worker")
	other.start("worker")
	result := p.submit("leaves", `1`)
	if r := p.final(result); r.State != jobs.Succeeded {
		t.Fatalf("%+v", r)
	}
	id := idOf(result)
	file := "/" + id + "/files/zeros.bin"
	read := func(header ...string) (status int, body string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(header) > 0 {
			request.Header.Set(header[0], header[1])
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, b.String()
	}
	copies := func() (names []string) {
		list, err := os.ReadDir(filepath.Join(p.setting("DATA"), "cache"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if strings.HasPrefix(f.Name(), id+".") {
				names = append(names, f.Name())
			}
		}
		return names
	}
	p.until("the file is read from a copy", func() bool {
		if status, body := read(); status != http.StatusOK || body != strings.Repeat("\x00", 1_000_000) {
			t.Fatalf("%d, %d bytes", status, len(body))
		}
		return !strings.Contains(p.text("/metrics"), "\nrunnerbean_cache_hits_total 0\n") && len(copies()) > 0
	})
	if status, body := read("Range", "bytes=999990-"); status != http.StatusPartialContent || len(body) != 10 {
		t.Errorf("a range: %d, %d bytes", status, len(body))
	}
	other.must("delete", id)
	if status, body := read(); status != http.StatusGone {
		t.Errorf("deleted by another node: %d, %d bytes", status, len(body))
	}
	p.until("no copy is left", func() bool { return len(copies()) == 0 })
	p.until("no object is left", func() bool { return !strings.Contains(strings.Join(bucket.Keys(), " "), id) })
	if status, _ := read(); status != http.StatusGone {
		t.Errorf("after the removal of its objects: %d", status)
	}
}

// TestNoCopies turns the cache off: what is left of it goes.
func TestNoCopies(t *testing.T) {
	bucket := buckettest.Start(t)
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_STORE="+bucket.URL, "RUNNERBEAN_CACHE=0")
	cache := filepath.Join(p.setting("DATA"), "cache")
	if err := os.MkdirAll(filepath.Join(cache, "left"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.start("worker")
	if _, err := os.Stat(cache); err == nil {
		t.Error("the folder is left")
	}
	if strings.Contains(p.text("/metrics"), "runnerbean_cache_") {
		t.Error("there are metrics of no cache")
	}
}
