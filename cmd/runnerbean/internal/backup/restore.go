package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/vitals"
)

// reserve is the space that stays free on the disk, in bytes.
const reserve = 16 << 20

// Check reads an archive to its end and checks all digests. It writes the copy of the
// ledger to a temporary folder, and nothing else.
func Check(ctx context.Context, in io.Reader, progress Progress) (s Summary, err error) {
	folder, err := os.MkdirTemp("", "runnerbean-check-*")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	c := &checker{ctx: ctx, file: filepath.Join(folder, ledgerName), progress: progress}
	defer func() { err = errors.Join(err, c.close()) }()
	return c.run(in, c)
}

// checker is a sink that checks and stores nothing but the ledger.
type checker struct {
	ctx      context.Context
	file     string // where the ledger goes
	about    Manifest
	audit    *audit
	progress Progress
}

func (c *checker) close() error {
	if c.audit == nil {
		return nil
	}
	a := c.audit
	c.audit = nil
	return a.close()
}

// run reads an archive into a sink that has the checker in it.
func (c *checker) run(in io.Reader, s sink) (Summary, error) {
	r, err := read(c.ctx, in, s)
	if err != nil {
		return Summary{}, err
	}
	if err := c.audit.finish(r.end); err != nil {
		return Summary{}, err
	}
	r.summary.Jobs = c.audit.jobs
	return r.summary, c.close()
}

func (c *checker) manifest(m Manifest) error {
	if m.Schema > ledger.Schema() {
		return fmt.Errorf("the archive is of schema version %d, and this program knows %d: use the version that wrote it, %.40q, or a newer one", m.Schema, ledger.Schema(), m.Version)
	}
	c.about = m
	return nil
}

func (c *checker) ledger(size int64, r io.Reader) error {
	_, free, err := vitals.DiskSpace(filepath.Dir(c.file))
	if err != nil {
		return err
	}
	if err := fits(size, free, ledgerName); err != nil {
		return err
	}
	f, err := os.OpenFile(c.file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if c.audit, err = newAudit(c.ctx, c.file, c.about); err != nil {
		return err
	}
	total, err := c.audit.db.Count(c.ctx)
	c.progress.Begin(total)
	return err
}

// fits returns an error if size bytes are more than there is room for.
func fits(size, free int64, name string) error {
	if size > free-reserve {
		return fmt.Errorf("%.300s has %s, and the disk has %s free", name, bytesize.Size(size), bytesize.Size(free))
	}
	return nil
}

func (c *checker) object(key string, _ int64, _ time.Time, r io.Reader) error {
	if err := c.audit.see(c.ctx, key); err != nil {
		return err
	}
	c.progress.Set(c.audit.jobs)
	_, err := io.Copy(io.Discard, r)
	return err
}

// Restore restores an archive into a ledger that does not exist and an empty store. The
// ledger gets its name last, so that a restore that was killed leaves none and can be
// called again.
func Restore(ctx context.Context, set settings.Settings, in io.Reader, keysFile string, progress Progress) (s Summary, err error) {
	if err := needsFile(set); err != nil {
		return s, err
	}
	path := set.LedgerPath()
	for _, name := range []string{path, path + "-wal"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return s, errors.Join(err, fmt.Errorf("%s exists: a backup is restored beside no ledger; move it away, or set RUNNERBEAN_LEDGER to another file", name))
		}
	}
	k, err := readKeys(keysFile)
	if err != nil {
		return s, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return s, err
	}
	target, err := store.BeginImport(set.Store)
	if err != nil {
		return s, fmt.Errorf("%w: a backup is restored into an empty folder; move its content away, or set RUNNERBEAN_STORE to another one", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	t := &restorer{checker: checker{ctx: ctx, file: path + ".restoring", progress: progress}, set: set, keys: k, target: target}
	defer func() { err = errors.Join(err, t.close()) }()
	if s, err = t.run(in, t); err == nil {
		err = t.finish()
	}
	if err != nil {
		err = errors.Join(err, t.close(), removeIfThere(t.file))
	}
	return s, err
}

func removeIfThere(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// restorer is a sink that stores what it gets.
type restorer struct {
	checker
	set    settings.Settings
	keys   keys
	target *store.Import
}

func (t *restorer) manifest(m Manifest) error {
	if err := t.checker.manifest(m); err != nil {
		return err
	}
	return t.keys.check(t.set, m.Ledger)
}

func (t *restorer) object(key string, size int64, mod time.Time, r io.Reader) error {
	if err := t.audit.see(t.ctx, key); err != nil {
		return err
	}
	free, err := t.target.Free()
	if err != nil {
		return err
	}
	if err := fits(size, free, key); err != nil {
		return err
	}
	if err := t.target.Put(t.ctx, key, size, mod, r); err != nil {
		return err
	}
	t.progress.Set(t.audit.jobs)
	return nil
}

// finish brings everything to the disk, and gives the ledger its name last.
func (t *restorer) finish() error {
	if err := sqlite.PrepareRestored(t.ctx, t.file, t.keys.Secrets); err != nil {
		return err
	}
	if err := t.keys.restore(t.set); err != nil {
		return err
	}
	id := store.NewIdentity(t.about.Ledger)
	if t.about.Store != "" {
		id.Store = t.about.Store
	}
	if err := t.target.Finish(id); err != nil {
		return err
	}
	f, err := os.Open(t.file)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(t.file, t.set.LedgerPath()); err != nil { // fails if a ledger has come meanwhile
		return err
	}
	if err := errors.Join(os.Remove(t.file), syncFolder(t.file)); err != nil {
		return err
	}
	return t.target.Unmark()
}
