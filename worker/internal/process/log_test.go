package process

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestLogKeepsBothEnds(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return strings.Repeat("0123456789", n/10+1)[:n] }
	for _, step := range []int{1, 3, 7, 16, 1000} {
		for _, n := range []int{0, 1, 7, 8, 9, 12, 13, 14, 100} {
			l := Log{HeadSize: 8, TailSize: 5}
			all := text(n)
			for rest := all; rest != ""; rest = rest[min(step, len(rest)):] {
				k, err := l.Write([]byte(rest[:min(step, len(rest))]))
				if k != min(step, len(rest)) || err != nil {
					t.Fatal(k, err)
				}
			}
			want := all
			if n > 13 {
				want = fmt.Sprintf("%s\n[... %d bytes left out ...]\n%s", all[:8], n-13, all[n-5:])
			}
			if got := string(l.Snapshot()); got != want || l.Total() != int64(n) {
				t.Errorf("%d by %d: %q, want %q; total %d", n, step, got, want, l.Total())
			}
			checkTail(t, &l, all)
		}
	}
}

func checkTail(t *testing.T, l *Log, all string) {
	t.Helper()
	for _, n := range []int{-1, 0, 1, 4, 5, 6, 1000} {
		kept := len(all)
		if kept > 13 {
			kept = 5
		}
		want := all[len(all)-min(max(n, 0), kept):]
		if got := string(l.Tail(n)); got != want {
			t.Errorf("Tail(%d) of %d bytes: %q, want %q", n, len(all), got, want)
		}
	}
}

func TestLogConcurrently(t *testing.T) {
	t.Parallel()
	var l Log
	var wg sync.WaitGroup
	line := bytes.Repeat([]byte("x"), 1000)
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				_, _ = l.Write(line)
				_ = l.Tail(10)
			}
			_ = l.Snapshot()
		})
	}
	wg.Wait()
	if l.Total() != 4_000_000 {
		t.Errorf("total %d", l.Total())
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte("hello world"), uint8(3), uint8(4), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, head, tail, step uint8) {
		l := Log{HeadSize: int(head), TailSize: int(tail)}
		for p := data; len(p) > 0; p = p[min(1+int(step), len(p)):] {
			_, _ = l.Write(p[:min(1+int(step), len(p))])
		}
		kept := size(l.HeadSize) + size(l.TailSize)
		got := l.Snapshot()
		if len(data) <= kept && !bytes.Equal(got, data) {
			t.Errorf("%q became %q", data, got)
		}
		if end := l.Tail(int(tail)); !bytes.HasSuffix(data, end) || !bytes.HasSuffix(got, end) {
			t.Errorf("Tail is %q of %q", end, data)
		}
	})
}
