package validate

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// space is where something begins at i or behind white space.
func (r *run) space(i int) int {
	for r.text[i] == ' ' || r.text[i] == '\n' || r.text[i] == '\t' || r.text[i] == '\r' {
		i++
	}
	return i
}

// next is where the next member or element begins, behind the one that ends at
// i, or the bracket that closes.
func (r *run) next(i int) int {
	if i = r.space(i); r.text[i] == ',' {
		return r.space(i + 1)
	}
	return i
}

// member is where the value of the member begins whose name begins at i.
func (r *run) member(i int) int {
	return r.space(r.space(stringEnd(r.text, i)) + 1)
}

// skip is where the value that begins at i has ended.
func (r *run) skip(i int) int {
	switch kindOf(r.text[i]) {
	case text:
		end := stringEnd(r.text, i)
		r.tick((end - i) / 64)
		return end
	case number:
		return numberEnd(r.text, i)
	case boolean, null:
		if r.text[i] == 'f' {
			return i + len("false")
		}
		return i + len("true")
	}
	start := i
	for depth := 0; ; i++ {
		switch r.text[i] {
		case '"':
			i = stringEnd(r.text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				r.tick((i - start) / 64)
				return i + 1
			}
		}
		if i-start > 64*step {
			r.tick((i - start) / 64)
			start = i
		}
	}
}

// unquote is the string that begins at i, and where it has ended.
func (r *run) unquote(i int) (content []byte, end int) {
	end = stringEnd(r.text, i)
	r.tick((end - i) / 64)
	raw := r.text[i:end]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], end
	}
	content, _ = jsontext.AppendUnquote(nil, raw)
	return content, end
}
