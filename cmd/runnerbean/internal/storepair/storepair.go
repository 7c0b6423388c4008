// Package storepair checks that a ledger and a store belong together.
package storepair

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/store"
)

// AcceptCommand records the present folder as the store of the ledger.
const AcceptCommand = `"runnerbean store accept"`

// ErrApart is returned for a ledger and a store that do not belong together. The text
// says what to do.
var ErrApart = errors.New("ledger and store do not belong together")

// Pair is what a ledger and a store say about one another.
type Pair struct {
	Ledger engine.Peeked
	Store  store.Found
	// Missing is how many of the newest successes whose results are not in the ledger have
	// none in the store either.
	Missing int
	path    string // of the ledger, or its URL without the password
	inFile  bool   // the ledger is
}

// Look reads ledger and store. It changes nothing and creates nothing.
func Look(ctx context.Context, set settings.Settings) (p Pair, err error) {
	p.path, p.inFile = ledger.Name(set.Ledger), set.LedgerPath() != ""
	if p.Ledger, err = ledger.Peek(ctx, set.Ledger); err != nil {
		return p, fmt.Errorf("%w (see RUNNERBEAN_LEDGER)", err)
	}
	if p.Store, err = store.Inspect(ctx, set.Store); err == nil {
		p.Missing, err = store.Missing(ctx, set.Store, p.Ledger.Newest)
	}
	if err != nil {
		return p, fmt.Errorf("%w (see RUNNERBEAN_STORE)", err)
	}
	return p, nil
}

// Fault returns an ErrApart if a node must not work with the pair, or nil. A pair that is
// not recorded yet must be new, or the store must have the newest results of the ledger.
func (p *Pair) Fault() error {
	owner, ledger := p.Store.Identity, p.Ledger
	switch {
	case p.Store.Restoring && (ledger.ID == "" || owner.Ledger != ledger.ID):
		return p.apart("a restore into %s has not come to its end: run \"runnerbean restore\" again", p.Store.Folder)
	case ledger.Store != "" && owner.Store == "":
		return p.apart("the ledger %s belongs to the store %s, but %s has no store: mount its disk or set RUNNERBEAN_STORE to where it is%s; if the store is lost for good, %s makes a new one",
			p.path, ledger.Store, p.Store.Folder, p.ownSchema(), AcceptCommand)
	case ledger.Store != "" && (owner.Store != ledger.Store || owner.Ledger != ledger.ID):
		return p.apart("the ledger %s (%s) belongs to the store %s, but %s has the store %s of the ledger %s: set RUNNERBEAN_LEDGER and RUNNERBEAN_STORE to a pair; all nodes of a ledger share one store%s; if this is to be the store, %s records it",
			p.path, ledger.ID, ledger.Store, p.Store.Folder, owner.Store, owner.Ledger, p.ownSchema(), AcceptCommand)
	case owner.Store != "" && owner.Ledger != ledger.ID:
		return p.apart("the store %s belongs to the ledger %s, but %s is %s: set RUNNERBEAN_LEDGER to the ledger of this store, or RUNNERBEAN_STORE to another folder; if this ledger is to have the store, %s records it",
			p.Store.Folder, owner.Ledger, p.path, p.ledgerWord(), AcceptCommand)
	case owner.Store != "":
		return nil
	case len(ledger.Newest) == 0 && p.Store.Results:
		return p.apart("the store %s has results, but %s is %s without a result in a store: set RUNNERBEAN_LEDGER to the ledger of these results, or RUNNERBEAN_STORE to another folder; if this ledger is to have the store, %s records it",
			p.Store.Folder, p.path, p.ledgerWord(), AcceptCommand)
	case p.tooFew():
		return p.apart("of the newest %d successes in the ledger %s without a result in it, %d have no result in the store %s: set RUNNERBEAN_STORE to the store of this ledger; all nodes of a ledger share one store; if this is the store, %s records it",
			len(ledger.Newest), p.path, p.Missing, p.Store.Folder, AcceptCommand)
	}
	return nil
}

// tooFew reports whether more than a quarter of the newest results is missing: of two
// nodes with a store each, half are. Fewer may have been removed by hand.
func (p *Pair) tooFew() bool { return p.Missing > len(p.Ledger.Newest)/4 }

// ownSchema says how two pools share a database.
func (p *Pair) ownSchema() string {
	if p.inFile {
		return ""
	}
	return "; another pool in this database needs a schema of its own (search_path=NAME in RUNNERBEAN_LEDGER)"
}

func (p *Pair) ledgerWord() string {
	switch {
	case p.Ledger.ID != "":
		return "the ledger " + p.Ledger.ID
	case p.Ledger.Schema > 0:
		return "another ledger"
	}
	return "a new ledger"
}

func (p *Pair) apart(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrApart}, args...)...)
}

// Claim records an open pair in both, unless it is recorded, and returns the identity of
// the store. Look has found no Fault. Of several nodes that start at once with different
// pairs one succeeds; the others get an ErrApart.
func Claim(ctx context.Context, l *ledger.Ledger, s *store.Store) (store.Identity, error) {
	id, err := s.Identify(store.NewIdentity(l.ID()))
	if err != nil {
		return id, err
	}
	if id.Ledger != l.ID() {
		return id, fmt.Errorf("%w: another node has just given the store %s to the ledger %s, and this one has %s", ErrApart, id.Store, id.Ledger, l.ID())
	}
	recorded, err := l.Pairing.Claim(ctx, id.Store)
	if err != nil {
		return id, err
	}
	if recorded != id.Store {
		return id, fmt.Errorf("%w: the ledger %s belongs to the store %s, and RUNNERBEAN_STORE is the store %s: all nodes of a ledger share one store", ErrApart, l.ID(), recorded, id.Store)
	}
	return id, nil
}

// Accept records an open store as that of an open ledger, whatever they belonged to
// before. by is the person that wants it. A kill in the middle leaves a pair that no node
// takes; Accept can be called again.
func Accept(ctx context.Context, l *ledger.Ledger, s *store.Store, folder, by string) (store.Identity, error) {
	id := store.NewIdentity(l.ID())
	if err := s.SetIdentity(id); err != nil {
		return id, err
	}
	return id, l.Pairing.Accept(ctx, id.Store, folder, by)
}
