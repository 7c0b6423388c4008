package logtext

import (
	"strings"
	"testing"
)

// TestFrom reads chunks with a gap and with one that was appended again after a lost answer.
func TestFrom(t *testing.T) {
	t.Parallel()
	const all = "0123456789abcdefghij"
	chunk := func(from, to int) Chunk { return Chunk{int64(from), []byte(all[from:to])} }
	chunks := []Chunk{chunk(0, 4), chunk(4, 6), chunk(10, 15), chunk(12, 14), chunk(13, 20)}
	for from, want := range map[int64]struct {
		position int64
		text     string
	}{0: {0, "012345"}, 5: {5, "5"}, 6: {10, "abcdefghij"}, 12: {12, "cdefghij"}, 14: {14, "efghij"}, 19: {19, "j"}, 20: {20, ""}, 99: {20, ""}} {
		if position, text := From(chunks, from); position != want.position || string(text) != want.text {
			t.Errorf("from %d: %q at %d, want %q at %d", from, text, position, want.text, want.position)
		}
	}
}

// TestJoin makes the log that a node stores of the same text.
func TestJoin(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 10, EndSize, 2 * EndSize, 2*EndSize + 1, 5 * EndSize} {
		all, want := stored(n, 0)
		head, tail := min(n, EndSize), max(n-EndSize, min(n, EndSize))
		chunks := []Chunk{{0, []byte(all[:head])}, {tail, []byte(all[tail:])}}
		if got := string(Join(chunks)); got != want {
			t.Errorf("%d bytes: %d and %d bytes, alike up to %d", n, len(got), len(want), len(commonPrefix(got, want)))
		}
	}
}

func commonPrefix(a, b string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[:i]
		}
	}
	return strings.Clone(a[:min(len(a), len(b))])
}
