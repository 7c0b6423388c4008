package validate

import (
	"bytes"
	"math/big"
	"strconv"
)

// plainDigits is how many digits of an integer surely fit into an int64.
const plainDigits = 18

// plain reads an integer that is written without fraction and exponent.
func plain(text []byte) (n int64, ok bool) {
	if len(text) > plainDigits {
		return 0, false
	}
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9':
			n = 10*n + int64(c-'0')
		case c != '-' || i > 0:
			return 0, false
		}
	}
	if text[0] == '-' {
		n = -n
	}
	return n, true
}

// decimal is a number as digits times a power of ten: neither leading nor
// trailing zeros, and no digits for zero. Equal numbers have equal ones.
type decimal struct {
	negative bool
	digits   []byte
	exponent int
}

// parse reads a number within the bounds of measure. The digits are in buf.
func parse(text, buf []byte) decimal {
	var d decimal
	if text[0] == '-' {
		d.negative, text = true, text[1:]
	}
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		d.exponent, _ = strconv.Atoi(string(text[i+1:]))
		text = text[:i]
	}
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	d.exponent -= len(fraction)
	digits := bytes.TrimLeft(append(append(buf[:0], whole...), fraction...), "0")
	d.digits = bytes.TrimRight(digits, "0")
	d.exponent += len(digits) - len(d.digits)
	if len(d.digits) == 0 {
		return decimal{}
	}
	return d
}

// append writes the decimal in the one way in which it can be written.
func (d decimal) append(dst []byte) []byte {
	if d.negative {
		dst = append(dst, '-')
	}
	return strconv.AppendInt(append(append(dst, d.digits...), 'e'), int64(d.exponent), 10)
}

// limit is a number of a schema that others are compared with.
type limit struct {
	exact *big.Rat
	near  float64 // the nearest
	whole int64   // if isWhole
	// isWhole says that the number is an integer that fits.
	isWhole bool
}

func newLimit(r *big.Rat) *limit {
	if r == nil {
		return nil
	}
	l := &limit{exact: r}
	l.near, _ = r.Float64()
	if r.IsInt() && r.Num().IsInt64() {
		l.whole, l.isWhole = r.Num().Int64(), true
	}
	return l
}

// compare is negative where the number is less than the limit, and zero where
// they are equal. Rounding keeps the order, so that only numbers with the same
// nearest float64 need arithmetic.
func (l *limit) compare(text []byte) int {
	if n, ok := plain(text); ok && l.isWhole {
		switch {
		case n < l.whole:
			return -1
		case n > l.whole:
			return 1
		}
		return 0
	}
	near, _ := strconv.ParseFloat(string(text), 64)
	switch {
	case near < l.near:
		return -1
	case near > l.near:
		return 1
	}
	return exact(text).Cmp(l.exact)
}

// divides reports whether the number is a multiple of the limit.
func (l *limit) divides(text []byte) bool {
	if n, ok := plain(text); ok && l.isWhole {
		return n%l.whole == 0
	}
	return new(big.Rat).Quo(exact(text), l.exact).IsInt()
}

// exact is the number itself; it is within the bounds of measure.
func exact(text []byte) *big.Rat {
	r, ok := new(big.Rat).SetString(string(text))
	if !ok {
		return new(big.Rat)
	}
	return r
}
