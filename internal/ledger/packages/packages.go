// Package packages records the files of packages: which are in the store, by their SHA-256, and
// which jobs use them. Each object has a row here before it is made and until after it is removed,
// and each use before its job is recorded, so that a kill at any moment leaves no object that
// nobody knows, and no job without its files: Begin, the object, Record, Use, the job; then, for
// one that no job uses any more, Dropped, the object, Forget.
package packages

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Grace is how long a file is kept at least after it was sent, so that its batch can follow. An
// upload must take less.
const Grace = 24 * time.Hour

// maxUses is how many uses one transaction records.
const maxUses = 200

// Packages are the files of packages in a ledger.
type Packages struct{ ledger engine.Access }

// New returns the files of packages in a ledger.
func New(ledger engine.Access) *Packages { return &Packages{ledger} }

// File is a file that is an object of the store. Two objects with the same bytes, of which one
// is being removed, differ in their numbers.
type File struct {
	SHA256 string
	Number int64
	Size   int64 // bytes; 0 until it is kept
}

// States of a row.
const (
	begun = iota
	kept
	dropped
)

var (
	qRenew = engine.NewQuery("UPDATE package_files SET at = ? WHERE sha256 = ? AND state = ? RETURNING number, size")
	// The number is the time, so that none comes again.
	qBegin = engine.NewQuery(`INSERT INTO package_files (sha256, number, state, size, at)
		SELECT CAST(? AS TEXT), COALESCE((SELECT MAX(number) + 1 FROM package_files WHERE sha256 = ? AND number >= ?), ?), 0, 0, ?
		RETURNING number`)
	qRecord = engine.NewQuery("UPDATE package_files SET state = 1, size = ?, at = ? WHERE sha256 = ? AND number = ? AND state <> 2")
	qFind   = engine.NewQuery("SELECT number, size FROM package_files WHERE sha256 = ? AND state = 1 LIMIT 1")
	qDrop   = engine.NewQuery("UPDATE package_files SET state = 2 WHERE sha256 = ? AND number = ?")
	qUse    = engine.NewQuery(`INSERT INTO package_uses (sha256, job, at)
		SELECT CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT) WHERE EXISTS (SELECT 1 FROM package_files WHERE sha256 = ? AND state = 1)
		ON CONFLICT (sha256, job) DO UPDATE SET at = excluded.at`)
)

// Begin announces a file that was sent. If have is true the store has it, and keeps it for
// another [Grace]. Otherwise the caller makes the object of the file, which somebody else may do
// at the same time, and calls Record.
func (p *Packages) Begin(ctx context.Context, sha256 string) (f File, have bool, err error) {
	f.SHA256 = sha256
	err = p.ledger.Do(ctx, engine.Op{Name: "begin-package-file", Weight: 1, Run: func(t engine.Tx) (err error) {
		now := engine.Micros(t.Now())
		if have, err = t.Change(qRenew, []any{now, sha256, kept}, &f.Number, &f.Size); err != nil || have {
			return err
		}
		known, err := t.Change(qRenew, []any{now, sha256, begun}, &f.Number, &f.Size)
		if err != nil || known {
			return err
		}
		_, err = t.Change(qBegin, []any{sha256, sha256, now, now, now}, &f.Number)
		return err
	}})
	return f, have, engine.Wrap("begin file of a package", err)
}

// Record records that the object of a file is in the store. ok is false if that took so long
// that it is to be removed: the caller begins again.
func (p *Packages) Record(ctx context.Context, f File) (ok bool, err error) {
	err = p.ledger.Do(ctx, engine.Op{Name: "record-package-file", Weight: 1, Run: func(t engine.Tx) error {
		n, err := t.Exec(qRecord, f.Size, engine.Micros(t.Now()), f.SHA256, f.Number)
		ok = n > 0
		return err
	}})
	return ok, engine.Wrap("record file of a package", err)
}

// Find returns the file with a digest; false if the store has none.
func (p *Packages) Find(ctx context.Context, sha256 string) (f File, found bool, err error) {
	f.SHA256 = sha256
	found, err = p.ledger.Row(ctx, qFind, []any{sha256}, &f.Number, &f.Size)
	return f, found, engine.Wrap("file of a package", err)
}

// Drop drops a file whose object is damaged, so that it can be sent again.
func (p *Packages) Drop(ctx context.Context, f File) error {
	err := p.ledger.Do(ctx, engine.Op{Name: "drop-package-file", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		_, err := t.Exec(qDrop, f.SHA256, f.Number)
		return err
	}})
	return engine.Wrap("drop file of a package", err)
}

// Use records that a job uses files, by their digests, before the job is recorded: from now on
// they are kept as long as the job, or as a frame of it. It returns a *[Missing] if the store does
// not have all of them. It is not synced, since the commit of the job is.
func (p *Packages) Use(ctx context.Context, job string, digests []string) error {
	var missing []string
	for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(digests))), maxUses) {
		var absent []string
		err := p.ledger.Do(ctx, engine.Op{Name: "use-package-files", Weight: len(some), Soft: true, Run: func(t engine.Tx) error {
			absent = absent[:0]
			for _, digest := range some {
				n, err := t.Exec(qUse, digest, job, engine.Micros(t.Now()), digest)
				if err != nil {
					return err
				}
				if n == 0 {
					absent = append(absent, digest)
				}
			}
			return nil
		}})
		if err != nil {
			return engine.Wrap("use files of a package", err)
		}
		missing = append(missing, absent...)
	}
	if len(missing) == 0 {
		return nil
	}
	return &Missing{missing}
}

// Missing is the error of a job that uses files that the store does not have.
type Missing struct {
	Digests []string // sorted
}

func (m *Missing) Error() string {
	return fmt.Sprintf("%d of the files that it names are not in the store, among them %s", len(m.Digests), m.Digests[0])
}
