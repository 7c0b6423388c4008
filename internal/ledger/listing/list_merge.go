package listing

import (
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// MaxWalk is how many jobs one call looks at where no index knows which of
	// them are wanted.
	MaxWalk = 1000
	// maxMerged is how many lists are merged.
	maxMerged = 200
)

// MaxLook is how long a call goes on looking where no index knows which jobs
// are wanted: rows may be large, and the disk slow.
const MaxLook = 25 * time.Millisecond

// search is one call of Find.
type search struct {
	reader engine.Reader
	ctx    context.Context
	filter Filter
	from   Cursor
	merging

	found  []Cursor
	last   Cursor // the last place that was looked at
	broken bool   // it has looked at enough before the page was full
}

func (s *search) each(q *engine.Query, args []any, scan func(engine.Row) error) error {
	return s.reader.Each(s.ctx, q, args, scan)
}

func (s *search) row(q *engine.Query, args []any, dest ...any) (bool, error) {
	return s.reader.Row(s.ctx, q, args, dest...)
}

// openWalk is a walk that is read a piece at a time.
type openWalk struct {
	walk walk
	rest *criteria // what walk does not know
	key  []any
	have []found // read and not taken yet
	from Cursor  // the next piece begins after it
	done bool
}

// merging are walks that a listing merges, newest first.
type merging struct {
	list    []*openWalk
	began   time.Time
	maxTime time.Duration
	// rejected counts the jobs that were looked at in vain.
	rejected int
}

// head returns the stream whose next job is the newest; nil at the end of all.
func (s *search) head() (*openWalk, error) {
	var first *openWalk
	for _, v := range s.list {
		if err := s.fill(v); err != nil {
			return nil, err
		}
		if len(v.have) > 0 && (first == nil || v.have[0].Before(first.have[0].Cursor)) {
			first = v
		}
	}
	return first, nil
}

// merge takes jobs from the streams until they fill the page or it has looked
// at enough.
func (s *search) merge() error {
	for len(s.found) <= s.filter.Limit {
		v, err := s.head()
		if err != nil || v == nil {
			return err
		}
		if s.rejected >= MaxWalk || s.rejected > 0 && s.rejected%64 == 0 && time.Since(s.began) > s.maxTime {
			s.broken = true
			return nil
		}
		f := v.have[0]
		v.have = v.have[1:]
		s.last = f.Cursor
		if f.wanted {
			s.found = append(s.found, f.Cursor)
		} else {
			s.rejected++
		}
	}
	return nil
}

// fill reads the next piece of a stream that has none left.
func (s *search) fill(v *openWalk) error {
	if len(v.have) > 0 || v.done {
		return nil
	}
	kind, piece := v.rest.kind(), s.piece(v)
	args := slices.Clone(v.key)
	if kind != walkIndex {
		args = append(v.rest.args(), args...)
	}
	args = append(args, v.from.Accepted, v.from.ID, engine.Micros(s.filter.Since), piece)
	v.have = v.have[:0]
	err := s.each(v.walk[kind], args, func(r engine.Row) error {
		f, err := v.rest.scan(r)
		v.have = append(v.have, f)
		return err
	})
	v.done = len(v.have) < piece
	if len(v.have) > 0 {
		v.from = v.have[len(v.have)-1].Cursor
	}
	return err
}

// piece is how many jobs of a stream are read at once: what the page wants,
// shared among the streams, and not much more than will be looked at.
func (s *search) piece(v *openWalk) int {
	n := s.filter.Limit + 1
	if v.rest.kind() != walkIndex {
		n = max(n, 128)
	}
	return max(8, 2*n/(len(s.list)+1))
}
