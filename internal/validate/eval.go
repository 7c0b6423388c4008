package validate

import (
	"context"
	"errors"
	"unicode/utf8"
)

// maxApplied is how many schemas may be applied within one another.
const maxApplied = 10_000

var errApplied = errors.New("its schema refers to itself too often to be checked")

// run is the check of one value, which is read where it stands: a check takes
// next to no memory beside the text.
type run struct {
	ctx     context.Context
	text    []byte
	left    int // until the next look at the context
	applied int // schemas, within one another
	fault   fault
	way     []*resource // those in which the rules lie that are being applied
	digits  [64]byte
	written [96]byte
}

// fault is what does not fit: a keyword of a rule, and where the value begins.
type fault struct {
	rule    *rule
	keyword string
	at      int
	found   int    // a number that the message names
	name    string // a member that it names
}

// stop ends a check by a panic, which check catches.
type stop struct{ err error }

// check reports whether the text meets the rule; the fault says why not. The
// error is the cause of the context's end, or errApplied.
func (r *run) check(s *rule) (ok bool, err error) {
	defer func() {
		v := recover()
		if end, is := v.(stop); is {
			err = end.err
		} else if v != nil {
			panic(v)
		}
	}()
	return r.eval(s, r.space(0), nil) >= 0, nil
}

// tick counts work.
func (r *run) tick(n int) {
	if r.left -= n + 1; r.left > 0 {
		return
	}
	r.left = step
	if r.ctx != nil && r.ctx.Err() != nil {
		panic(stop{context.Cause(r.ctx)})
	}
}

// marks are the members or items of a value that were looked at by any rule, by
// their number.
type marks struct {
	all  bool
	bits []uint64
}

func (m *marks) set(i int) {
	if m == nil {
		return
	}
	for len(m.bits) <= i/64 {
		m.bits = append(m.bits, 0)
	}
	m.bits[i/64] |= 1 << (i % 64)
}

func (m *marks) has(i int) bool {
	return m.all || i/64 < len(m.bits) && m.bits[i/64]&(1<<(i%64)) != 0
}

func (m *marks) add(o *marks) {
	m.all = m.all || o.all
	for len(m.bits) < len(o.bits) {
		m.bits = append(m.bits, 0)
	}
	for i, b := range o.bits {
		m.bits[i] |= b
	}
}

// no notes a fault; its result is that of eval.
func (r *run) no(s *rule, keyword string, at int) int {
	r.fault = fault{rule: s, keyword: keyword, at: at}
	return -1
}

func (r *run) noNumber(s *rule, keyword string, at, found int) int {
	r.fault = fault{rule: s, keyword: keyword, at: at, found: found}
	return -1
}

func (r *run) noName(s *rule, keyword string, at int, name string) int {
	r.fault = fault{rule: s, keyword: keyword, at: at, name: name}
	return -1
}

// eval applies a rule to the value that begins at i. It returns where that has
// ended, or -1 with a fault. What was looked at is added to seen, unless that is
// nil.
func (r *run) eval(s *rule, i int, seen *marks) int {
	r.tick(1)
	switch {
	case s.always:
		return r.skip(i)
	case s.never:
		return r.no(s, "", i)
	}
	if r.applied++; r.applied > maxApplied {
		panic(stop{errApplied})
	}
	deep := len(r.way)
	if s.home != nil && (deep == 0 || r.way[deep-1] != s.home) {
		r.way = append(r.way, s.home)
	}
	k := kindOf(r.text[i])
	m, own := seen, marks{}
	rest := k == object && s.restNames != nil || k == array && s.restItems != nil
	if rest {
		m = &own
	}
	end := r.value(s, k, i, m)
	if end >= 0 {
		end = r.inPlace(s, i, end, m)
	}
	if end >= 0 && rest {
		end = r.rest(s, k, i, m)
		if seen != nil {
			seen.all = true
		}
	}
	r.applied--
	r.way = r.way[:deep]
	return end
}

// value applies what a rule says itself.
func (r *run) value(s *rule, k kind, i int, m *marks) int {
	if s.kinds != 0 && s.kinds&k == 0 && (k != number || s.kinds&integer == 0 || !r.whole(i)) {
		return r.noName(s, "type", i, k.String())
	}
	if s.constant != nil || s.enum != nil {
		f, _ := r.print(i)
		if _, ok := s.constant[f]; !ok && s.constant != nil {
			return r.no(s, "const", i)
		}
		if _, ok := s.enum[f]; !ok && s.enum != nil {
			return r.no(s, "enum", i)
		}
	}
	switch {
	case k == object && s.object != nil:
		return r.members(s, i, m)
	case k == array && s.array != nil:
		return r.items(s, i, m)
	case k == text && s.textual:
		return r.string(s, i)
	case k == number && s.numerical:
		return r.number(s, i)
	}
	return r.skip(i)
}

// whole reports whether the number at i is an integer, as 1.0 and 1e2 are.
func (r *run) whole(i int) bool {
	n := r.text[i:numberEnd(r.text, i)]
	if _, ok := plain(n); ok {
		return true
	}
	return parse(n, r.digits[:0]).exponent >= 0
}

func (r *run) number(s *rule, i int) int {
	end := numberEnd(r.text, i)
	n := r.text[i:end]
	r.tick(len(n))
	switch {
	case s.minimum != nil && s.minimum.compare(n) < 0:
		return r.no(s, "minimum", i)
	case s.above != nil && s.above.compare(n) <= 0:
		return r.no(s, "exclusiveMinimum", i)
	case s.maximum != nil && s.maximum.compare(n) > 0:
		return r.no(s, "maximum", i)
	case s.below != nil && s.below.compare(n) >= 0:
		return r.no(s, "exclusiveMaximum", i)
	case s.multiple != nil && !s.multiple.divides(n):
		return r.no(s, "multipleOf", i)
	}
	return end
}

func (r *run) string(s *rule, i int) int {
	content, end := r.unquote(i)
	if s.format != nil && !s.format(string(content)) {
		return r.no(s, "format", i)
	}
	if s.minText > 0 || s.maxText >= 0 {
		switch n := utf8.RuneCount(content); {
		case n < s.minText:
			return r.noNumber(s, "minLength", i, n)
		case s.maxText >= 0 && n > s.maxText:
			return r.noNumber(s, "maxLength", i, n)
		}
	}
	if s.pattern != nil && !r.match(s.pattern, content) {
		return r.no(s, "pattern", i)
	}
	return end
}

// inPlace applies the rules that another one names for the same value. end is
// where the value has ended.
func (r *run) inPlace(s *rule, i, end int, m *marks) int {
	for _, sub := range s.all {
		if r.also(sub, i, m) < 0 {
			return -1
		}
	}
	for _, d := range s.dynamic {
		if r.also(r.resolve(d), i, m) < 0 {
			return -1
		}
	}
	if s.not != nil && r.eval(s.not, i, nil) >= 0 {
		return r.no(s, "not", i)
	}
	if s.any != nil && r.some(s.any, i, m, len(s.any)) == 0 {
		return -1
	}
	if s.one != nil {
		switch n := r.some(s.one, i, m, 2); {
		case n == 0:
			return -1
		case n > 1:
			return r.no(s, "oneOf", i)
		}
	}
	if s.when == nil {
		return end
	}
	next := s.otherwise
	if r.also(s.when, i, m) >= 0 {
		next = s.then
	}
	if next != nil && r.also(next, i, m) < 0 {
		return -1
	}
	return end
}

// also applies a rule to a value; what it looked at counts if it fits.
func (r *run) also(s *rule, i int, m *marks) int {
	if m == nil {
		return r.eval(s, i, nil)
	}
	var own marks
	end := r.eval(s, i, &own)
	if end >= 0 {
		m.add(&own)
	}
	return end
}

// some counts the rules that fit, up to enough; one is enough where nobody asks
// what was looked at. Where none does, the fault is that of the first.
func (r *run) some(list []*rule, i int, m *marks, enough int) int {
	if m == nil && enough > 2 {
		enough = 1
	}
	n, first := 0, fault{}
	for at, sub := range list {
		if r.also(sub, i, m) >= 0 {
			n++
		} else if at == 0 {
			first = r.fault
		}
		if n == enough {
			break
		}
	}
	if n == 0 {
		r.fault = first
	}
	return n
}

// rest applies what is said of members or items that no rule has looked at.
func (r *run) rest(s *rule, k kind, i int, m *marks) int {
	sub, closing := s.restNames, byte('}')
	if k == array {
		sub, closing = s.restItems, ']'
	}
	i = r.space(i + 1)
	for n := 0; r.text[i] != closing; n++ {
		at := i
		if k == object {
			at = r.member(i)
		}
		end := -1
		if m.has(n) {
			end = r.skip(at)
		} else if end = r.eval(sub, at, nil); end < 0 {
			return -1
		}
		i = r.next(end)
	}
	return i + 1
}
