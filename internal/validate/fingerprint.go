package validate

import (
	"encoding/binary"
	"hash/maphash"
)

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
