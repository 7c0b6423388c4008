package storepair

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// newPair returns the settings of a ledger and a store that a node has recorded.
func newPair(t *testing.T) settings.Settings {
	t.Helper()
	set := absentPair(t)
	if _, err := claim(t, set); err != nil {
		t.Fatal(err)
	}
	return set
}

// absentPair returns settings whose files do not exist.
func absentPair(t *testing.T) settings.Settings {
	dir := t.TempDir()
	return settings.Settings{Ledger: "sqlite:" + filepath.Join(dir, "ledger.db"), Store: filepath.Join(dir, "store")}
}

// claim opens a pair, as a node does, and closes it.
func claim(t *testing.T, set settings.Settings) (store.Identity, error) {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: set.Ledger})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := store.Open(context.Background(), set.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return Claim(t.Context(), l, s)
}

// fault returns what a node that starts says, or "".
func fault(t *testing.T, set settings.Settings) string {
	t.Helper()
	p, err := Look(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Fault()
	if err == nil {
		return ""
	}
	if !errors.Is(err, ErrApart) {
		t.Errorf("fault %v", err)
	}
	return err.Error()
}

// putResults stores results of the newest successes of a ledger, except each n-th.
func putResults(t *testing.T, set settings.Settings, except int) {
	t.Helper()
	p, err := Look(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), set.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, id := range p.Ledger.Newest {
		if except > 0 && i%except == 0 {
			continue
		}
		if err := s.Create(t.Context(), store.ResultKey(id), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
}

// putSmall puts the results of all successes into the ledger.
func putSmall(t *testing.T, set settings.Settings) {
	t.Helper()
	db, err := sql.Open("sqlite", set.LedgerPath())
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("INSERT INTO results (job, at, document) SELECT id, 1, x'00' FROM jobs WHERE state = 'succeeded'")
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// putOther stores a result that no ledger knows.
func putOther(t *testing.T, set settings.Settings) {
	t.Helper()
	s, err := store.Open(context.Background(), set.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Create(t.Context(), store.ResultKey(jobs.NewID()), []byte("{}")); err != nil {
		t.Fatal(err)
	}
}

// filled returns a pair whose ledger is from before stores were recorded.
func filled(t *testing.T) settings.Settings {
	t.Helper()
	set := absentPair(t)
	if err := ledgertest.FillEnded(t.Context(), set.LedgerPath(), 200); err != nil {
		t.Fatal(err)
	}
	return set
}

// TestPairs lists the pairs of ledger and store that a node meets at its start.
func TestPairs(t *testing.T) {
	t.Parallel()
	one, other := newPair(t), newPair(t)
	storeOf := func(s settings.Settings) settings.Settings {
		return settings.Settings{Ledger: one.Ledger, Store: s.Store}
	}
	noLedger := absentPair(t)
	empty := t.TempDir()
	results := absentPair(t)
	putOther(t, results)
	old := filled(t)
	putResults(t, old, 0)
	most := filled(t)
	putResults(t, most, 5)
	half := filled(t)
	putResults(t, half, 2)
	small := filled(t)
	putSmall(t, small)
	restoring := absentPair(t)
	if err := errors.Join(os.Mkdir(restoring.Store, 0o755), os.WriteFile(filepath.Join(restoring.Store, "restoring"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		set  settings.Settings
		want string // a part of the fault; "" for none
	}{
		"new":                          {absentPair(t), ""},
		"recorded":                     {one, ""},
		"store absent":                 {storeOf(noLedger), "has no store: mount its disk"},
		"mount point empty":            {storeOf(settings.Settings{Store: empty}), "has no store: mount its disk"},
		"another store":                {storeOf(other), "all nodes of a ledger share one store"},
		"a new ledger":                 {settings.Settings{Ledger: noLedger.Ledger, Store: one.Store}, "is a new ledger"},
		"results without an identity":  {results, "has results, but"},
		"upgraded":                     {old, ""},
		"upgraded, few are missing":    {most, ""},
		"upgraded, half are missing":   {half, "have no result in the store"},
		"upgraded, store is absent":    {filled(t), "have no result in the store"},
		"upgraded, all in the ledger":  {small, ""},
		"upgraded, store of another":   {settings.Settings{Ledger: old.Ledger, Store: one.Store}, "belongs to the ledger"},
		"a restore that did not end":   {restoring, `run "runnerbean restore" again`},
		"ledger is absent, store too":  {noLedger, ""},
		"ledger of another, new store": {settings.Settings{Ledger: other.Ledger, Store: noLedger.Store}, "mount its disk"},
	} {
		got := fault(t, test.set)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: fault %q, want %q", name, got, test.want)
		}
		if test.want != "" && !strings.Contains(got, test.set.Store) && !strings.Contains(got, "restore") {
			t.Errorf("%s: fault %q does not name the folder", name, got)
		}
	}
	for _, path := range []string{noLedger.Store, noLedger.LedgerPath(), filepath.Join(empty, "identity")} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("a look made %s: %v", path, err)
		}
	}
}

// TestNodesThatStartAtOnce starts nodes with one ledger, some with a store of their own:
// those of one store work and the others are refused.
func TestNodesThatStartAtOnce(t *testing.T) {
	t.Parallel()
	set := absentPair(t)
	stores := []string{set.Store, filepath.Join(t.TempDir(), "own"), set.Store}
	ids, errs := make([]store.Identity, len(stores)), make([]error, len(stores))
	var wg sync.WaitGroup
	for i, folder := range stores {
		wg.Go(func() { ids[i], errs[i] = claim(t, settings.Settings{Ledger: set.Ledger, Store: folder}) })
	}
	wg.Wait()
	if (errs[0] == nil) != (errs[2] == nil) || (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("nodes of one store: %v, %v; of another: %v", errs[0], errs[2], errs[1])
	}
	if errs[0] == nil && ids[0] != ids[2] {
		t.Errorf("identities %v and %v", ids[0], ids[2])
	}
}

// TestKilledBetweenStoreAndLedger has the store recorded and the ledger not.
func TestKilledBetweenStoreAndLedger(t *testing.T) {
	t.Parallel()
	set := newPair(t)
	db, err := sql.Open("sqlite", set.LedgerPath())
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("UPDATE identity SET store = ''")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if got := fault(t, set); got != "" {
		t.Errorf("fault %q", got)
	}
	if _, err := claim(t, set); err != nil {
		t.Error(err)
	}
	if p, err := Look(t.Context(), set); err != nil || p.Ledger.Store != p.Store.Identity.Store || p.Ledger.Store == "" {
		t.Errorf("%+v, %v", p, err)
	}
}
