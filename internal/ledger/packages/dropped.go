package packages

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// maxDropped limits the files in one answer of Dropped, and maxLooks the rows of each
	// table that one call of Look reads.
	maxDropped = 100
	maxLooks   = 500
)

// Walk is how far a search for what nobody needs has come. The zero Walk begins.
type Walk struct {
	file File
	use  use
}

// use is a file that a job uses.
type use struct{ sha256, job string }

var (
	qDropped = engine.NewQuery(`SELECT sha256, number FROM package_files WHERE state = 2 AND (sha256, number) > (?, ?)
		ORDER BY sha256, number LIMIT ?`)
	qForget = engine.NewQuery("DELETE FROM package_files WHERE sha256 = ? AND number = ? AND state = 2")

	qFiles = engine.NewQuery(`SELECT sha256, number, state, at, EXISTS (SELECT 1 FROM package_uses WHERE sha256 = package_files.sha256)
		FROM package_files WHERE (sha256, number) > (?, ?) ORDER BY sha256, number LIMIT ?`)
	qDropUnused = engine.NewQuery(`UPDATE package_files SET state = 2 WHERE sha256 = ? AND number = ? AND state = ? AND at = ?
		AND NOT EXISTS (SELECT 1 FROM package_uses WHERE sha256 = package_files.sha256)`)
	qDropBegun = engine.NewQuery("UPDATE package_files SET state = 2 WHERE sha256 = ? AND number = ? AND state = ? AND at = ?")

	// A job that is recorded again, and the frames of one, keep its use.
	qUses = engine.NewQuery(`SELECT sha256, job, at, EXISTS (SELECT 1 FROM jobs WHERE id = package_uses.job)
			OR EXISTS (SELECT 1 FROM jobs WHERE batch = package_uses.job AND batch <> '')
		FROM package_uses WHERE (sha256, job) > (?, ?) ORDER BY sha256, job LIMIT ?`)
	qEndUse = engine.NewQuery("DELETE FROM package_uses WHERE sha256 = ? AND job = ? AND at = ?")
)

// Dropped returns files whose objects are to be removed, at most 100, after one of them. Their
// rows stay until Forget.
func (p *Packages) Dropped(ctx context.Context, after File) (list []File, err error) {
	err = p.ledger.Each(ctx, qDropped, []any{after.SHA256, after.Number, maxDropped}, func(r engine.Row) error {
		var f File
		err := r.Scan(&f.SHA256, &f.Number)
		list = append(list, f)
		return err
	})
	return list, engine.Wrap("dropped files of packages", err)
}

// Forget records that the objects of dropped files are not in the store any more. It is not
// synced: what is removed twice is removed once.
func (p *Packages) Forget(ctx context.Context, list []File) error {
	err := p.ledger.Do(ctx, engine.Op{Name: "forget-package-files", Weight: len(list), Soft: true, Run: func(t engine.Tx) error {
		for _, f := range list {
			if _, err := t.Exec(qForget, f.SHA256, f.Number); err != nil {
				return err
			}
		}
		return nil
	}})
	return engine.Wrap("forget files of packages", err)
}

// change is a statement that ends a use or drops a file, unless its row has changed.
type change struct {
	query *engine.Query
	args  []any
}

// Look goes on with a search: it ends the uses of jobs that were deleted, with all their frames,
// and drops files that no job uses and that nobody has sent for [Grace]. It reads at most 500
// rows of each table.
func (p *Packages) Look(ctx context.Context, w *Walk) error {
	uses, err := p.ended(ctx, w)
	if err != nil {
		return engine.Wrap("look at files of packages", err)
	}
	files, err := p.unused(ctx, w)
	if err != nil {
		return engine.Wrap("look at files of packages", err)
	}
	list := append(uses, files...)
	if len(list) == 0 {
		return nil
	}
	err = p.ledger.Do(ctx, engine.Op{Name: "drop-package-files", Weight: len(list), Soft: true, Run: func(t engine.Tx) error {
		for _, c := range list {
			if _, err := t.Exec(c.query, c.args...); err != nil {
				return err
			}
		}
		return nil
	}})
	return engine.Wrap("drop files of packages", err)
}

// old is the time until which what nobody needs is old enough.
func (p *Packages) old() int64 { return engine.Micros(p.ledger.Now().Add(-Grace)) }

// ended returns the uses that have ended. Its job may not be recorded yet if a use is young.
func (p *Packages) ended(ctx context.Context, w *Walk) (list []change, err error) {
	n, old := 0, p.old()
	err = p.ledger.Each(ctx, qUses, []any{w.use.sha256, w.use.job, maxLooks}, func(r engine.Row) error {
		var at int64
		var needed bool
		err := r.Scan(&w.use.sha256, &w.use.job, &at, &needed)
		if n++; err == nil && !needed && at < old {
			list = append(list, change{qEndUse, []any{w.use.sha256, w.use.job, at}})
		}
		return err
	})
	if n < maxLooks {
		w.use = use{}
	}
	return list, err
}

// unused returns the files that no job uses, and those whose upload was killed.
func (p *Packages) unused(ctx context.Context, w *Walk) (list []change, err error) {
	n, old := 0, p.old()
	err = p.ledger.Each(ctx, qFiles, []any{w.file.SHA256, w.file.Number, maxLooks}, func(r engine.Row) error {
		var at int64
		var state int
		var used bool
		err := r.Scan(&w.file.SHA256, &w.file.Number, &state, &at, &used)
		n++
		switch args := []any{w.file.SHA256, w.file.Number, state, at}; {
		case err != nil || at >= old:
		case state == begun:
			list = append(list, change{qDropBegun, args})
		case state == kept && !used:
			list = append(list, change{qDropUnused, args})
		}
		return err
	})
	if n < maxLooks {
		w.file = File{}
	}
	return list, err
}
