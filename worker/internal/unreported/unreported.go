// Package unreported keeps the ends of attempts on the disk of a node while the ledger does
// not answer, so that they are not lost if the node ends meanwhile.
package unreported

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

const (
	suffix = ".json"
	// maxFile bounds a file that is read: a result in base64 and the rest of an end.
	maxFile = 2*results.Max + 1<<20
)

// Folder has a file for each end that is not in the ledger. The zero value keeps nothing.
type Folder struct{ path string }

// Open makes the folder.
func Open(path string) (Folder, error) { return Folder{path}, os.MkdirAll(path, 0o700) }

// Keep writes the end of an attempt. It is on the disk when Keep returns.
func (f Folder) Keep(id string, attempt int, e *ledger.Ending) (err error) {
	if f.path == "" {
		return nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(f.path, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), f.file(id, attempt)); err != nil {
		return err
	}
	dir, err := os.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Forget removes the end of an attempt, if it is kept.
func (f Folder) Forget(id string, attempt int) error {
	if f.path == "" {
		return nil
	}
	if err := os.Remove(f.file(id, attempt)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f Folder) file(id string, attempt int) string {
	return filepath.Join(f.path, id+"."+strconv.Itoa(attempt)+suffix)
}

// Finisher is the part of the ledger that ends attempts.
type Finisher interface {
	Finish(ctx context.Context, id string, attempt int, e ledger.Ending) ([]ledger.Record, error)
}

// errSpoiled says that a file is not that of an end, or not all of it.
var errSpoiled = errors.New("it is not the file of an end")

// Report records all ends that are kept and removes their files. An end of an attempt that is
// not its job's newest any more, and a spoiled file, is dropped. A file that the disk does not
// give stays. Report stops at the first error of the ledger: the rest stays.
func (f Folder) Report(ctx context.Context, l Finisher, log *slog.Logger) error {
	list, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	var unread []error
	for _, entry := range list {
		path := filepath.Join(f.path, entry.Name())
		id, attempt, e, err := read(path)
		if err != nil && !errors.Is(err, errSpoiled) {
			unread = append(unread, err)
			continue
		}
		if err == nil {
			_, err = l.Finish(ctx, id, attempt, e)
		}
		switch {
		case err == nil:
			log.Info("the end of an attempt is recorded that the ledger did not take before", "job", id, "attempt", attempt, "outcome", string(e.Outcome))
		case id != "" && !fault.IsStale(err):
			return fmt.Errorf("job %s: %w", id, err)
		default:
			log.Warn("the end of an attempt is dropped that the ledger did not take before", "file", entry.Name(), "err", err)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return errors.Join(unread...)
}

// read reads a file. id is empty after an error.
func read(path string) (id string, attempt int, e ledger.Ending, err error) {
	name, whole := strings.CutSuffix(filepath.Base(path), suffix)
	name, number, found := strings.Cut(name, ".")
	attempt, err = strconv.Atoi(number)
	if !whole || !found || err != nil {
		return "", 0, e, errSpoiled
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("%w: it is too large", errSpoiled)
	}
	if err != nil {
		return "", 0, e, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", 0, e, err
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return "", 0, e, fmt.Errorf("%w: %w", errSpoiled, err)
	}
	return name, attempt, e, nil
}
