package jsondoc

import "bytes"

// Depth returns how deep a JSON text is nested, 0 for a scalar. It may return any
// number for what is not JSON.
func Depth(text []byte) int {
	if bytes.IndexByte(text, '{') < 0 && bytes.IndexByte(text, '[') < 0 {
		return 0
	}
	deepest, level := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:])
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
}

// stringEnd returns the index of the quote that ends the string at the start of text.
func stringEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}
