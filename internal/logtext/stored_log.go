package logtext

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// EndSize is the number of bytes that are kept of each end of a log.
const EndSize = 256 << 10

// Head returns b without an incomplete character at its end.
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

// Tail returns b without an incomplete character at its beginning.
func Tail(b []byte) []byte {
	for i := 0; i < utf8.UTFMax && i < len(b); i++ {
		if utf8.RuneStart(b[i]) {
			return b[i:]
		}
	}
	return b
}

// First returns the beginning of text, at most limit bytes. It does not split a
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

// Last returns the end of text, at most limit bytes. It does not split a character.
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

// Gap returns the line that stands for n omitted bytes between the head and the tail of
// a log.
func Gap(n int64) string { return gapStart + strconv.FormatInt(n, 10) + gapEnd }

// Kept describes which bytes of a program's output a stored log contains: the first
// Head bytes and the last Tail bytes. A log from which nothing is omitted has only a
// head.
type Kept struct {
	Head    int64 // bytes kept from the beginning
	Omitted int64 // bytes omitted after the head
	Tail    int64 // bytes kept from the end
	gap     int64 // length of the gap line in bytes
}

// Total returns the number of bytes that the program wrote.
func (k Kept) Total() int64 { return k.Head + k.Omitted + k.Tail }

// Part returns the longest kept part of the output that begins at position from, or at
// the next kept position. The offset and length are those of the part in the stored
// log, in bytes.
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
	// GapSize is the number of bytes that LayoutOf needs.
	GapSize = 64
	// GapOffset is the offset of these bytes in a stored log.
	GapOffset = EndSize - utf8.UTFMax
)

// LayoutOf returns which bytes a stored log of size bytes contains. The window is the
// GapSize bytes of the log from GapOffset on. A program cannot imitate the gap line
// there: every log longer than both ends has the real line first.
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
