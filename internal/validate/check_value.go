package validate

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// maxApplied is how many schemas may be applied within one another.
const maxApplied = 10_000

var errApplied = errors.New("its schema refers to itself too often to be checked")

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
	return r.apply(s, r.space(0), nil) >= 0, nil
}

// apply applies a rule to the value that begins at i. It returns where that has
// ended, or -1 with a fault. What was looked at is added to seen, unless that is
// nil.
func (r *run) apply(s *rule, i int, seen *marks) int {
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
	deep := len(r.resources)
	if s.resource != nil && (deep == 0 || r.resources[deep-1] != s.resource) {
		r.resources = append(r.resources, s.resource)
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
	r.resources = r.resources[:deep]
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
	if s.not != nil && r.apply(s.not, i, nil) >= 0 {
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
		return r.apply(s, i, nil)
	}
	var own marks
	end := r.apply(s, i, &own)
	if end >= 0 {
		m.add(&own)
	}
	return end
}

// some counts the rules that fit, up to enough. Without marks, one fitting rule is
// enough. If no rule fits, the fault is that of the first.
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
		} else if end = r.apply(sub, at, nil); end < 0 {
			return -1
		}
		i = r.next(end)
	}
	return i + 1
}

// resolve is where a dynamic reference leads to on the way to here.
func (r *run) resolve(d *dynamic) *rule {
	for _, on := range r.resources {
		if target := on.anchors[d.name]; target != nil {
			return target
		}
	}
	return d.target
}

// items applies what a rule says of an array; it returns as eval does.
func (r *run) items(s *rule, start int, m *marks) int {
	a, n, found := s.array, 0, 0
	var seen map[fingerprint]struct{}
	if a.unique {
		seen = map[fingerprint]struct{}{}
	}
	i := r.space(start + 1)
	for ; r.text[i] != ']'; n++ {
		end := r.item(a, n, i, m)
		if end == -1 {
			return -1
		}
		if a.contains != nil && r.apply(a.contains, i, nil) >= 0 {
			found++
			if a.counts {
				m.set(n)
			}
		}
		if a.unique {
			f, _ := r.print(i)
			if _, twice := seen[f]; twice {
				return r.noNumber(s, "uniqueItems", start, n)
			}
			seen[f] = struct{}{}
		}
		i = r.next(end)
	}
	switch {
	case n < a.min:
		return r.noNumber(s, "minItems", start, n)
	case a.max >= 0 && n > a.max:
		return r.noNumber(s, "maxItems", start, n)
	case a.contains != nil && found < a.least:
		return r.noNumber(s, "minContains", start, found)
	case a.contains != nil && a.most >= 0 && found > a.most:
		return r.noNumber(s, "maxContains", start, found)
	}
	return i + 1
}

// item applies the rule for the nth item.
func (r *run) item(a *arrayRule, n, i int, m *marks) int {
	sub := a.rest
	if n < len(a.first) {
		sub = a.first[n]
	}
	if n < len(a.first) || a.closed {
		m.set(n)
	}
	if sub == nil {
		return r.skip(i)
	}
	return r.apply(sub, i, nil)
}

func (r *run) members(s *rule, start int, m *marks) int {
	o, n := s.object, 0
	var present []string
	i := r.space(start + 1)
	for ; r.text[i] != '}'; n++ {
		name, _ := r.unquote(i)
		if o.wanted[string(name)] {
			present = append(present, string(name))
		}
		end := r.memberOf(s, name, i, n, m)
		if end < 0 {
			return -1
		}
		i = r.next(end)
	}
	switch {
	case n < o.min:
		return r.noNumber(s, "minProperties", start, n)
	case o.max >= 0 && n > o.max:
		return r.noNumber(s, "maxProperties", start, n)
	}
	return r.presence(s, start, i+1, present, m)
}

// memberOf applies the rules for the nth member, whose name begins at i.
func (r *run) memberOf(s *rule, name []byte, i, n int, m *marks) int {
	o, at, end, known := s.object, r.member(i), -1, false
	if sub := o.named[string(name)]; sub != nil {
		if end = r.apply(sub, at, nil); end < 0 {
			return -1
		}
		known = true
	}
	for _, p := range o.patterns {
		if !r.match(p.pattern, name) {
			continue
		}
		if end = r.apply(p.rule, at, nil); end < 0 {
			return -1
		}
		known = true
	}
	if !known && o.others != nil {
		if o.others.never {
			return r.noName(s, "additionalProperties", i, string(name))
		}
		if end = r.apply(o.others, at, nil); end < 0 {
			return -1
		}
	}
	if o.names != nil && r.apply(o.names, i, nil) < 0 {
		return -1
	}
	if known || o.closed {
		m.set(n)
	}
	if end < 0 {
		end = r.skip(at)
	}
	return end
}

// presence applies what depends on which members there are.
func (r *run) presence(s *rule, start, end int, present []string, m *marks) int {
	o := s.object
	if len(o.wanted) == 0 {
		return end
	}
	has := make(map[string]bool, len(present))
	for _, name := range present {
		has[name] = true
	}
	for _, name := range o.required {
		if !has[name] {
			return r.noName(s, "required", start, name)
		}
	}
	slices.Sort(present)
	for _, name := range present {
		for _, need := range o.needs[name] {
			if !has[need] {
				return r.noName(s, "dependentRequired", start, need)
			}
		}
		if sub := o.dependents[name]; sub != nil && r.also(sub, start, m) < 0 {
			return -1
		}
	}
	return end
}
