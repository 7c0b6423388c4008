package dispatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// programs remembers which programs any node has ever announced.
type programs struct {
	ledger *ledger.Ledger

	mu    sync.Mutex
	names map[string]bool
	read  time.Time
}

// refresh is how often an unknown name may cause a look into the ledger.
const refresh = 500 * time.Millisecond

type unknownProgram struct {
	name    string
	nearest []string
}

func (u *unknownProgram) Error() string {
	if len(u.nearest) == 0 {
		return fmt.Sprintf("no node has a program %q, nor any other; install one in the programs folder", u.name)
	}
	return fmt.Sprintf("no node has ever had a program %q; the nearest known: %s", u.name, strings.Join(u.nearest, ", "))
}

// check returns an *unknownProgram for a name that no node has announced.
func (p *programs) check(ctx context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.names[name] && time.Since(p.read) > refresh {
		if err := p.load(ctx); err != nil {
			return err
		}
	}
	if p.names[name] {
		return nil
	}
	return &unknownProgram{name: name, nearest: nearest(name, p.names)}
}

// list returns the known names, in order.
func (p *programs) list(ctx context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if time.Since(p.read) > refresh {
		err = p.load(ctx)
	}
	return slices.Sorted(maps.Keys(p.names)), err
}

// doubt makes the next unknown name cause a look into the ledger.
func (p *programs) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = time.Time{}
}

func (p *programs) load(ctx context.Context) error {
	all, err := p.ledger.Programs(ctx)
	if err != nil {
		return err
	}
	p.names = make(map[string]bool, len(all))
	for _, program := range all {
		p.names[program.Name] = true
	}
	p.read = time.Now()
	return nil
}

// nearest returns up to three known names, the one that takes the fewest edits
// to reach first.
func nearest(name string, known map[string]bool) []string {
	names := make([]string, 0, len(known))
	for k := range known {
		names = append(names, k)
	}
	distance := make(map[string]int, len(names))
	for _, k := range names {
		distance[k] = edits(name, k)
	}
	sort.Slice(names, func(i, j int) bool {
		if distance[names[i]] != distance[names[j]] {
			return distance[names[i]] < distance[names[j]]
		}
		return names[i] < names[j]
	})
	return names[:min(3, len(names))]
}

// edits is the Levenshtein distance of two short ASCII names.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
