package backup

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// audit compares the objects of an archive, in their order, with the jobs of its ledger.
type audit struct {
	db      *sqlite.Copied
	list    *sqlite.Jobs
	job     sqlite.Job // that the objects are of now
	more    bool       // job is one
	result  bool       // its result was seen
	jobs    int
	without int // successes without a result
}

// newAudit checks the copy of a ledger, and that it is the one of the manifest. The
// caller closes the audit.
func newAudit(ctx context.Context, path string, m Manifest) (*audit, error) {
	p, err := sqlite.Peek(ctx, path)
	if err != nil {
		return nil, bad("its ledger cannot be read: %w", err)
	}
	if p.ID != m.Ledger || p.Store != m.Store || p.Schema != m.Schema {
		return nil, bad("its ledger is %q (store %q, schema %d), not that of its manifest", p.ID, p.Store, p.Schema)
	}
	a := &audit{}
	if a.db, err = sqlite.OpenCopy(path); err != nil {
		return nil, err
	}
	if err = a.db.Check(ctx); err == nil {
		a.list, err = a.db.Jobs(ctx)
	}
	if err == nil {
		err = a.next()
	}
	if err != nil {
		return nil, errors.Join(bad("its ledger: %w", err), a.close())
	}
	return a, nil
}

func (a *audit) close() error {
	var err error
	if a.list != nil {
		err = a.list.Close()
	}
	return errors.Join(err, a.db.Close())
}

// next goes on to the next job.
func (a *audit) next() (err error) {
	if a.more && !a.result && !a.job.Result && a.job.State == string(jobs.Succeeded) {
		a.without++
	}
	a.result = false
	if a.job, a.more, err = a.list.Next(); a.more {
		a.jobs++
	}
	return err
}

// see takes an object. One of no job of the ledger, and no file of packages in it, is an error.
func (a *audit) see(ctx context.Context, key string) error {
	if digest, number, ok := store.PackageFile(key); ok {
		known, err := a.db.HasPackageFile(ctx, sqlite.PackageFile{SHA256: digest, Number: number})
		if err == nil && !known {
			err = bad("the object %.300q is no file of packages in its ledger", key)
		}
		return err
	}
	id := jobOf(key)
	for a.more && a.job.ID < id {
		if err := a.next(); err != nil {
			return err
		}
	}
	if !a.more || a.job.ID != id {
		return bad("the object %.300q is of no job in its ledger", key)
	}
	a.result = a.result || key == store.ResultKey(id)
	return nil
}

// finish returns an error if successes have no result that are to have one.
func (a *audit) finish(end End) error {
	for a.more {
		if err := a.next(); err != nil {
			return err
		}
	}
	if a.without != end.Without {
		return bad("%d successes have no result in it, and %d are to have none", a.without, end.Without)
	}
	return nil
}
