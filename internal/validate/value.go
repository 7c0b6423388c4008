package validate

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/go-json-experiment/json/jsontext"
)

// kind is what a JSON value is, as a set with one member.
type kind uint8

const (
	null kind = 1 << iota
	boolean
	number
	integer // only wanted, never found
	text
	array
	object
)

var kindNames = map[string]kind{
	"null": null, "boolean": boolean, "number": number, "integer": integer, "string": text, "array": array, "object": object,
}

func (k kind) String() string {
	for name, one := range kindNames {
		if k == one {
			return name
		}
	}
	return "no value"
}

// kindOf is the kind of the value that begins with c.
func kindOf(c byte) kind {
	switch c {
	case '{':
		return object
	case '[':
		return array
	case '"':
		return text
	case 't', 'f':
		return boolean
	case 'n':
		return null
	}
	return number
}

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

// fingerprint is the same for equal values, whatever the order of members and
// the way in which numbers and strings are written. That others have the same is
// less likely than a fault of the memory, also where somebody tries, because
// the seeds are not known.
type fingerprint [2]uint64

var seeds [int(object) + 1][2]maphash.Seed

func init() {
	for i := range seeds {
		seeds[i] = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
}

func hash(k kind, content []byte) fingerprint {
	return fingerprint{maphash.Bytes(seeds[k][0], content), maphash.Bytes(seeds[k][1], content)}
}

// with combines two, of which the order counts.
func (f fingerprint) with(k kind, g fingerprint) fingerprint {
	var b [32]byte
	for i, n := range [...]uint64{f[0], f[1], g[0], g[1]} {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	return hash(k, b[:])
}

// print is the fingerprint of the value that begins at i, and where it has ended.
func (r *run) print(i int) (f fingerprint, end int) {
	r.tick(1)
	switch k := kindOf(r.text[i]); k {
	case text:
		content, end := r.unquote(i)
		return hash(text, content), end
	case number:
		end = numberEnd(r.text, i)
		d := parse(r.text[i:end], r.digits[:0])
		written := d.append(r.written[:0])
		return hash(number, written), end
	case array:
		return r.printArray(i)
	case object:
		return r.printObject(i)
	default:
		return hash(k, r.text[i:i+1]), r.skip(i)
	}
}

func (r *run) printArray(i int) (f fingerprint, end int) {
	f = hash(array, nil)
	for i = r.space(i + 1); r.text[i] != ']'; {
		item, end := r.print(i)
		f, i = f.with(array, item), r.next(end)
	}
	return f, i + 1
}

// printObject adds up the members, so that their order does not count.
func (r *run) printObject(i int) (f fingerprint, end int) {
	n := uint64(0)
	for i = r.space(i + 1); r.text[i] != '}'; n++ {
		name, _ := r.unquote(i)
		value, end := r.print(r.member(i))
		m := hash(text, name).with(integer, value)
		f[0], f[1] = f[0]+m[0], f[1]+m[1]
		i = r.next(end)
	}
	return f.with(object, fingerprint{n}), i + 1
}
