package listing

import (
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// MaxWalk is how many jobs one call reads that an index cannot select.
	MaxWalk = 1000
	// maxMerged is the largest number of walks that are merged.
	maxMerged = 200
)

// MaxLook is how long one call searches if no index can select the jobs. Rows may be
// large and the disk slow.
const MaxLook = 25 * time.Millisecond

// search is one call of Find.
type search struct {
	reader engine.Reader
	ctx    context.Context
	filter Filter
	from   Cursor
	merging

	found  []Cursor
	last   Cursor // the last place that was read
	broken bool   // the search broke off before the page was full
}

func (s *search) each(q *engine.Query, args []any, scan func(engine.Row) error) error {
	return s.reader.Each(s.ctx, q, args, scan)
}

func (s *search) row(q *engine.Query, args []any, dest ...any) (bool, error) {
	return s.reader.Row(s.ctx, q, args, dest...)
}

// openWalk is a walk that is read in pieces.
type openWalk struct {
	walk walk
	rest *criteria // what the index does not cover
	key  []any
	have []found // read but not taken yet
	from Cursor  // the next piece begins after it
	done bool
}

// merging is the walks of a search, whose results are merged, newest first.
type merging struct {
	list    []*openWalk
	began   time.Time
	maxTime time.Duration
	// rejected counts the jobs that did not match.
	rejected int
}

// head returns the walk whose next job is the newest; nil at the end of all.
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

// merge takes jobs from the walks until the page is full or the search breaks off.
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

// fill reads the next piece of a walk that has none left.
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

// piece returns how many jobs of a walk are read at once: the share of the page, and not
// many more than the search will use.
func (s *search) piece(v *openWalk) int {
	n := s.filter.Limit + 1
	if v.rest.kind() != walkIndex {
		n = max(n, 128)
	}
	return max(8, 2*n/(len(s.list)+1))
}
