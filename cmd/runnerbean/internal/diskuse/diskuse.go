// Package diskuse says what takes the room on the disks of a node, and what would free it.
// It measures samples, within bounds.
package diskuse

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// oldAge is the age of which the advice speaks.
	oldAge, oldText = 30 * 24 * time.Hour, "30d"
	// maxEntries bounds the files of scratch folders that are looked at.
	maxEntries = 20_000
	// maxAsked bounds the jobs of the sample whose programs are asked for.
	maxAsked = 1000
	// maxPrograms is how many programs are named.
	maxPrograms = 3

	theLedger = "the ledger with small results"
)

// Use is what takes room.
type Use struct {
	parts  []part // the largest first
	old    int64  // bytes in the store that are older than oldAge
	exact  bool
	sample map[string]int64 // bytes by job
}

type part struct {
	name  string
	bytes int64
}

// Measure measures store, ledger and scratch of a node. It ends early with what it has
// when ctx ends. What cannot be read counts nothing.
func Measure(ctx context.Context, set settings.Settings) Use {
	u := Use{exact: true}
	var objects store.Usage
	if folder := set.StoreFolder(); folder != "" {
		objects, _ = store.Measure(ctx, folder, time.Now().Add(-oldAge))
		u.exact, u.sample = objects.Exact, objects.Sample
	}
	for _, k := range objects.Kinds {
		u.parts = append(u.parts, part{k.Kind, k.Bytes})
		u.old += k.Old
	}
	u.parts = append(u.parts, part{theLedger, ledgerSize(set.LedgerPath())}, part{"scratch", folderSize(ctx, filepath.Join(set.Data, "scratch"))},
		part{"copies of objects of the bucket", folderSize(ctx, set.CacheFolder())})
	u.parts = slices.DeleteFunc(u.parts, func(p part) bool { return p.bytes == 0 })
	slices.SortStableFunc(u.parts, func(a, b part) int { return cmp.Compare(b.bytes, a.bytes) })
	return u
}

// ledgerSize returns the size of the files of a ledger. path is "" if it has none.
func ledgerSize(path string) (n int64) {
	if path == "" {
		return 0
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(path + suffix); err == nil {
			n += info.Size()
		}
	}
	return n
}

// folderSize returns the size of the files in a folder, of the first 20,000.
func folderSize(ctx context.Context, dir string) (n int64) {
	left := maxEntries
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if left--; left < 0 || ctx.Err() != nil {
			return filepath.SkipAll
		}
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// Text names what takes room; "" for nothing.
func (u Use) Text() string {
	list := make([]string, len(u.parts))
	for i, p := range u.parts {
		list[i] = p.name + " " + text.Bytes(p.bytes)
	}
	if len(list) == 0 {
		return ""
	}
	about := ""
	if !u.exact {
		about = "about "
	}
	return "room is taken by " + about + strings.Join(list, ", ")
}

// Advice says what would free room; "" if that would not free much.
func (u Use) Advice() (advice string) {
	const prune = "runnerbean prune --older " + oldText
	if u.old > 0 {
		advice = fmt.Sprintf("%q would free up to %s; RUNNERBEAN_KEEP does that all the time", prune, text.Bytes(u.old))
	}
	if len(u.parts) > 0 && u.parts[0].name == theLedger {
		advice = text.JoinClauses(advice, fmt.Sprintf("%s keeps the size of its file: %q makes room in it for new jobs, and VACUUM makes it smaller", theLedger, prune))
	}
	return advice
}

// Programs names the programs whose jobs take most room in the store, from the sample; ""
// if nothing was measured.
func (u Use) Programs(ctx context.Context, l *ledger.Ledger) (string, error) {
	ids := make([]string, 0, len(u.sample))
	for id := range u.sample {
		if len(ids) < maxAsked {
			ids = append(ids, id)
		}
	}
	list, err := l.GetMany(ctx, ids)
	if err != nil || len(list) == 0 {
		return "", err
	}
	sizes, sum := map[string]int64{}, int64(0)
	for i := range list {
		n := u.sample[list[i].ID]
		sizes[list[i].Program] += n
		sum += n
	}
	var shares []part
	for name, n := range sizes {
		shares = append(shares, part{name, n})
	}
	slices.SortFunc(shares, func(a, b part) int { return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.name, b.name)) })
	named := make([]string, 0, maxPrograms)
	for _, s := range shares[:min(len(shares), maxPrograms)] {
		named = append(named, fmt.Sprintf("%s %d %%", s.name, int(float64(s.bytes)*100/float64(max(1, sum))+0.5)))
	}
	return "of the store by program: " + strings.Join(named, ", "), nil
}
