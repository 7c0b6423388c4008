package validate

import "context"

// run is the check of one value, which is read where it stands: a check takes
// next to no memory beside the text.
type run struct {
	ctx        context.Context
	text       []byte
	untilCheck int // until the next look at the context
	applied    int // schemas, within one another
	fault      fault
	resources  []*resource // those in which the rules lie that are being applied
	digits     [64]byte
	written    [96]byte
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

// tick counts work.
func (r *run) tick(n int) {
	if r.untilCheck -= n + 1; r.untilCheck > 0 {
		return
	}
	r.untilCheck = step
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
