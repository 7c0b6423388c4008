package validate

import "slices"

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
		if a.contains != nil && r.eval(a.contains, i, nil) >= 0 {
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
	return r.eval(sub, i, nil)
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
		if end = r.eval(sub, at, nil); end < 0 {
			return -1
		}
		known = true
	}
	for _, p := range o.patterns {
		if !r.match(p.pattern, name) {
			continue
		}
		if end = r.eval(p.rule, at, nil); end < 0 {
			return -1
		}
		known = true
	}
	if !known && o.others != nil {
		if o.others.never {
			return r.noName(s, "additionalProperties", i, string(name))
		}
		if end = r.eval(o.others, at, nil); end < 0 {
			return -1
		}
	}
	if o.names != nil && r.eval(o.names, i, nil) < 0 {
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
