package validate

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the numbers in values and in schemas. Arithmetic on a number takes
// time and memory with its size, and a short text such as 1e1000000 can stand
// for a very large one.
const (
	maxDigits   = 1000
	maxExponent = 1000 // in either direction
)

// maxNesting is how deep objects and arrays of a value may lie in one another.
const maxNesting = 1000

// step is how much is done between two looks at the context.
const step = 1 << 12

// measures are what a scan of a JSON text counts.
type measures struct{ depth, values int }

// measure goes through one well-formed JSON text and refuses what cannot be
// checked in bounded time: numbers beyond the bounds and deep nesting.
func measure(ctx context.Context, text []byte, deepest int) (measures, error) {
	var m measures
	depth, look := 0, 0
	for i := 0; i < len(text); i++ {
		if i >= look {
			if ctx.Err() != nil {
				return m, context.Cause(ctx)
			}
			look = i + step
		}
		switch c := text[i]; {
		case c == '"':
			i = stringEnd(text, i) - 1
			m.values++
		case c == '{' || c == '[':
			m.values++
			if depth++; depth > deepest {
				return m, &Mismatch{Message: fmt.Sprintf("nested more than %d deep", deepest)}
			}
			m.depth = max(m.depth, depth)
		case c == '}' || c == ']':
			depth--
		case c == '-' || c >= '0' && c <= '9':
			end := numberEnd(text, i)
			if fault := numberFault(text[i:end]); fault != "" {
				return m, &Mismatch{Pointer: pointerAt(ctx, text, i), Message: fault}
			}
			m.values++
			i = end - 1
		}
	}
	return m, nil
}

// numberFault says what keeps a JSON number from being checked, if anything.
func numberFault(text []byte) string {
	if len(text) <= 4 {
		return "" // at most 9e99, mostly a digit or two
	}
	mantissa, exponent := text, []byte(nil)
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	digits := len(mantissa) - bytes.Count(mantissa, []byte(".")) - bytes.Count(mantissa, []byte("-"))
	if digits > maxDigits {
		return fmt.Sprintf("the number has %d digits; at most %d can be checked", digits, maxDigits)
	}
	if len(exponent) == 0 {
		return ""
	}
	n, err := strconv.Atoi(string(exponent))
	if err != nil || n > maxExponent || n < -maxExponent {
		return fmt.Sprintf("the number %.40s has an exponent beyond %d, which cannot be checked", text, maxExponent)
	}
	return ""
}

// pointerAt is the JSON pointer (RFC 6901) of the value or name that begins at
// offset, or of one before it where ctx ends.
func pointerAt(ctx context.Context, text []byte, offset int) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for n := 0; ; n++ {
		_, err := dec.ReadToken()
		if err != nil || dec.InputOffset() > int64(offset) || n%step == 0 && ctx.Err() != nil {
			return string(dec.StackPointer())
		}
	}
}

// stringEnd is where the string that begins at i has ended.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// numberEnd is where the number that begins at i has ended.
func numberEnd(text []byte, i int) int {
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '-' || text[i] == '+' || text[i] == '.' || text[i]|0x20 == 'e') {
		i++
	}
	return i
}
