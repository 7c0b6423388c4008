package logtext

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// EndSize is how many bytes of each end of a log are kept.
const EndSize = 256 << 10

// Head is b without the bytes of a character at its end that is cut in two.
func Head(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			return b
		}
	}
	return b
}

// Tail is b without the bytes of a character at its beginning that is cut in two.
func Tail(b []byte) []byte {
	for i := 0; i < utf8.UTFMax && i < len(b); i++ {
		if utf8.RuneStart(b[i]) {
			return b[i:]
		}
	}
	return b
}

// First returns the beginning of text, at most limit bytes, up to the end of a
// character.
func First(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// Last is the end of text, at most limit bytes, from the beginning of a character.
func Last(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := len(text) - limit
	for cut < len(text) && !utf8.RuneStart(text[cut]) {
		cut++
	}
	return text[cut:]
}

const gapStart, gapEnd = "\n[... ", " bytes left out ...]\n"

// Gap is the line between the kept head and tail of a log in which n bytes were
// left out.
func Gap(n int64) string { return gapStart + strconv.FormatInt(n, 10) + gapEnd }

// Kept says which bytes of what a program wrote a stored log has: the first
// Head, and those after another Omitted. A log in which nothing was left out is
// all head.
type Kept struct {
	Head    int64 // bytes from the beginning
	Omitted int64 // bytes left out after them
	Tail    int64 // bytes after those
	gap     int64 // length of the line between head and tail
}

// Total is how many bytes the program wrote.
func (k Kept) Total() int64 { return k.Head + k.Omitted + k.Tail }

// Part is the longest kept part of a log that begins at position from of what
// was written, or at the next position that was kept: where it begins there,
// and its place in the stored log.
func (k Kept) Part(from int64) (position, offset, length int64) {
	switch tail := k.Head + k.Omitted; {
	case from < k.Head:
		return from, from, k.Head - from
	case from < tail:
		return tail, k.Head + k.gap, k.Tail
	default:
		from = min(from, k.Total())
		return from, k.Head + k.gap + from - tail, k.Total() - from
	}
}

const (
	// GapSize is the most bytes that LayoutOf needs.
	GapSize = 64
	// GapOffset is where in a stored log they are.
	GapOffset = EndSize - utf8.UTFMax
)

// LayoutOf is what a stored log of size bytes has; window is its GapSize bytes
// from GapOffset on. A program cannot imitate the line there: a log that is
// longer than both ends has that line, before anything else that looks like it.
func LayoutOf(size int64, window []byte) Kept {
	if size <= 2*EndSize {
		return Kept{Head: size}
	}
	for i := range min(utf8.UTFMax+1, len(window)) {
		text, ok := strings.CutPrefix(string(window[i:]), gapStart)
		digits, _, ended := strings.Cut(text, gapEnd)
		n, err := strconv.ParseInt(digits, 10, 64)
		if !ok || !ended || err != nil || n <= 0 || strconv.FormatInt(n, 10) != digits {
			continue
		}
		k := Kept{Head: int64(GapOffset + i), Omitted: n, gap: int64(len(Gap(n)))}
		k.Tail = size - k.Head - k.gap
		return k
	}
	return Kept{Head: size}
}
