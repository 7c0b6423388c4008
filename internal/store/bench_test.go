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
	"time"
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

// inParallel has writers share n calls of do, and returns how long they took.
func inParallel(b *testing.B, writers, n int, do func() error) time.Duration {
	begun := time.Now()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

var block = bytes.Repeat([]byte("0123456789abcdef"), 640)

// BenchmarkCreate compares a durable object of 10 KiB, made in both ways, with
// one fsync of a new file of that size, which is the least that it can cost. The
// three take short turns, so that whatever else the disk does meets all alike.
func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 4, 8} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			var next atomic.Int64
			dir := benchDir(b)
			ways := map[string]func() error{
				"fsync":     func() error { return writeSynced(filepath.Join(dir, fmt.Sprint(next.Add(1)))) },
				"unnamed":   creator(b, true, &next),
				"temporary": creator(b, false, &next),
			}
			took := map[string]time.Duration{}
			const turn = 100
			for done := 0; done < b.N; done += turn {
				for name, do := range ways {
					took[name] += inParallel(b, writers, min(turn, b.N-done), do)
				}
			}
			for name, d := range took {
				b.ReportMetric(float64(b.N)/d.Seconds(), name+"/s")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// creator makes objects in a store of its own whose folders are there already,
// as they are but once in a node's life.
func creator(b *testing.B, unnamed bool, next *atomic.Int64) func() error {
	s := open(b, benchDir(b))
	s.disk().unnamed = s.disk().unnamed && unnamed
	warm(b, s)
	return func() error {
		n := next.Add(1)
		return s.Create(b.Context(), ResultKey(fmt.Sprintf("%034x%02x", n, byte(n*151))), block)
	}
}

// warm makes the folders, which a node does once in its life.
func warm(b *testing.B, s *Store) {
	for n := range 256 {
		if err := s.disk().ensure(fmt.Sprintf("results/%02x", n)); err != nil {
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

// BenchmarkReplace tells new objects, as most logs are, from those that stand in
// place of another, which some file systems begin to write to disk at once.
func BenchmarkReplace(b *testing.B) {
	for name, keys := range map[string]int{"new": 1 << 40, "again": 64} {
		b.Run(name, func(b *testing.B) {
			s := open(b, benchDir(b))
			for n := 0; b.Loop(); n++ {
				if err := s.Replace(b.Context(), LogKey(id1, n%keys), block); err != nil {
					b.Fatal(err)
				}
			}
		})
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
