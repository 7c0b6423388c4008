package dispatch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// knownPrograms caches the names of the programs that any node has ever announced.
type knownPrograms struct {
	ledger *ledger.Ledger

	mu    sync.Mutex
	names map[string]bool
	read  time.Time
}

// programsEvery is the shortest time between two reads of the programs from the
// ledger.
const programsEvery = 500 * time.Millisecond

// unknownProgram is the error of a program that no node has announced.
type unknownProgram struct {
	name  string
	known []string
}

func (u *unknownProgram) Error() string { return ledger.UnknownProgram(u.name, u.known) }

// check returns an *unknownProgram for a name that no node has announced.
func (p *knownPrograms) check(ctx context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.names[name] {
		if err := p.refresh(ctx); err != nil {
			return err
		}
	}
	if p.names[name] {
		return nil
	}
	return &unknownProgram{name: name, known: slices.Sorted(maps.Keys(p.names))}
}

// list returns the known names, sorted, also with an error.
func (p *knownPrograms) list(ctx context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.refresh(ctx)
	return slices.Sorted(maps.Keys(p.names)), err
}

// invalidate makes the next check of an unknown name read the ledger.
func (p *knownPrograms) invalidate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = time.Time{}
}

// refresh reads the names unless that was done a moment ago. The caller holds mu.
func (p *knownPrograms) refresh(ctx context.Context) error {
	if time.Since(p.read) <= programsEvery {
		return nil
	}
	all, err := p.ledger.Nodes.Programs(ctx)
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
