package dispatch

import (
	"context"
	"maps"
	"slices"
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
	name  string
	known []string
}

func (u *unknownProgram) Error() string { return ledger.UnknownProgram(u.name, u.known) }

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
	return &unknownProgram{name: name, known: slices.Sorted(maps.Keys(p.names))}
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
