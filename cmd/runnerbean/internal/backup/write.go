package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/store"
)

// writer writes an archive.
type writer struct {
	ctx     context.Context
	store   *store.Store
	live    *sqlite.Copied // the ledger that nodes use
	tar     *tar.Writer
	table   strings.Builder
	lines   int
	number  int // of the next table
	tables  hash.Hash
	summary Summary
	without int // see End
	// progress is called with the number of jobs that are done.
	progress func(done int)
}

// write writes the archive of the copy of a ledger to out.
func (w *writer) write(out io.Writer, copied string) error {
	packed, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	w.tar, w.tables = tar.NewWriter(packed), sha256.New()
	if err := w.text(manifestName, w.summary.Manifest); err != nil {
		return err
	}
	if err := w.ledger(copied); err != nil {
		return err
	}
	if err := w.jobs(copied); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	end := End{Objects: w.summary.Objects, Bytes: w.summary.Bytes, Tables: hex.EncodeToString(w.tables.Sum(nil)), Missing: w.summary.Missing, Without: w.without}
	if err := w.text(endName, end); err != nil {
		return err
	}
	return errors.Join(w.tar.Close(), packed.Close())
}

func (w *writer) text(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.entry(name, int64(len(text)), w.summary.Time, strings.NewReader(string(text)))
}

// entry writes an entry, and adds it to the table of digests.
func (w *writer) entry(name string, size int64, mod time.Time, r io.Reader) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: mod.Truncate(time.Second)}
	if err := w.tar.WriteHeader(header); err != nil {
		return err
	}
	digest := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w.tar, digest), r, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if strings.HasPrefix(name, digestPrefix) || name == endName {
		return nil
	}
	w.table.WriteString(digestLine(hex.EncodeToString(digest.Sum(nil)), size, name))
	if w.lines++; w.lines < tableLines {
		return nil
	}
	return w.flush()
}

// flush writes the table of the entries since the last one.
func (w *writer) flush() error {
	if w.lines == 0 {
		return nil
	}
	text := w.table.String()
	w.table.Reset()
	w.lines = 0
	w.tables.Write([]byte(text))
	name := fmt.Sprintf("%s%08d", digestPrefix, w.number)
	w.number++
	return w.entry(name, int64(len(text)), w.summary.Time, strings.NewReader(text))
}

func (w *writer) ledger(copied string) error {
	f, err := os.Open(copied)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return w.entry(ledgerName, info.Size(), w.summary.Time, f)
}

// jobs writes the objects of all jobs, and the files of packages.
func (w *writer) jobs(copied string) error {
	db, err := sqlite.OpenCopy(copied)
	if err != nil {
		return err
	}
	defer db.Close()
	list, err := db.Jobs(w.ctx)
	if err != nil {
		return err
	}
	defer list.Close()
	for {
		job, ok, err := list.Next()
		if err != nil {
			return err
		}
		if !ok {
			return errors.Join(list.Close(), w.packages(db))
		}
		if err := w.job(db, job); err != nil {
			return err
		}
		w.summary.Jobs++
		w.progress(w.summary.Jobs)
	}
}

// packages writes the files of packages. One that is not there was removed since the ledger was
// copied, or a job says that it is missing.
func (w *writer) packages(db *sqlite.Copied) error {
	for after := (sqlite.PackageFile{}); ; {
		page, err := db.PackageFiles(w.ctx, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, f := range page {
			if err := w.object(store.PackageKey(f.SHA256, f.Number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		after = page[len(page)-1]
	}
}

func (w *writer) job(db *sqlite.Copied, job sqlite.Job) error {
	keys, needed, err := objectsOf(w.ctx, w.store, db, job)
	if err != nil {
		return err
	}
	missing := false
	for _, key := range keys {
		err := w.object(key)
		switch {
		case errors.Is(err, fs.ErrNotExist) && needed[key]:
			missing = true
			if key == store.ResultKey(job.ID) {
				w.without++
			}
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if !missing {
		return nil
	}
	return w.lost(job)
}

// object writes an object. The error is an fs.ErrNotExist if there is none.
func (w *writer) object(key string) error {
	o, err := w.store.Open(w.ctx, key)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := w.entry(objectPrefix+key, o.Size, o.ModTime, o); err != nil {
		return err
	}
	w.summary.Objects++
	w.summary.Bytes += o.Size
	return nil
}

// lost counts a success whose result or files are not in the store, unless the job was
// deleted, or run again, since the ledger was copied.
func (w *writer) lost(job sqlite.Job) error {
	now, known, err := w.live.Job(w.ctx, job.ID)
	if err != nil || !known || now != job {
		return err
	}
	w.summary.Missing++
	if len(w.summary.MissingJobs) < maxNamed {
		w.summary.MissingJobs = append(w.summary.MissingJobs, job.ID)
	}
	return nil
}
