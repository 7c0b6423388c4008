package store

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// benchDir is a folder on the disk of the sources: a temporary folder may be in
// memory.
func benchDir(b *testing.B) string {
	dir, err := os.MkdirTemp(".", "bench-*.test")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	dir, err = filepath.Abs(dir)
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

// inParallel has writers share b.N calls of do, and reports calls per second.
func inParallel(b *testing.B, writers int, do func(n int64) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

var block = bytes.Repeat([]byte("0123456789abcdef"), 640)

// BenchmarkCreate compares a durable object of 10 KiB with one fsync of a new
// file of that size, which is the least that it can cost.
func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("fsync/writers=%d", writers), func(b *testing.B) {
			dir := benchDir(b)
			inParallel(b, writers, func(n int64) error { return writeSynced(filepath.Join(dir, fmt.Sprint(n))) })
		})
		for _, way := range []string{"unnamed", "temporary"} {
			b.Run(fmt.Sprintf("%s/writers=%d", way, writers), func(b *testing.B) {
				s := open(b, benchDir(b))
				s.unnamed = s.unnamed && way == "unnamed"
				warm(b, s)
				inParallel(b, writers, func(n int64) error {
					return s.Create(b.Context(), ResultKey(fmt.Sprintf("%034x%02x", n, byte(n*151))), block)
				})
			})
		}
	}
}

// warm makes the folders, which a node does once in its life.
func warm(b *testing.B, s *Store) {
	for n := range 256 {
		if err := s.ensure(fmt.Sprintf("results/%02x", n)); err != nil {
			b.Fatal(err)
		}
	}
}

func writeSynced(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(block); err != nil {
		return err
	}
	return f.Sync()
}

func BenchmarkReplace(b *testing.B) {
	s := open(b, benchDir(b))
	for n := 0; b.Loop(); n++ {
		if err := s.Replace(b.Context(), LogKey(id1, n%64), block); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenAndRead(b *testing.B) {
	s := open(b, benchDir(b))
	mustCreate(b, s, ResultKey(id1), string(block))
	buf := make([]byte, len(block))
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		o, err := s.Open(b.Context(), ResultKey(id1))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(o, buf); err != nil {
			b.Fatal(err)
		}
		_ = o.Close()
	}
}
