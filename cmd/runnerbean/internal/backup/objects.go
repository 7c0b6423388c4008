package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxFiles bounds the list of files in a document, in bytes.
const maxFiles = 8 << 20

// files is what a document says about the files of an attempt.
type files struct {
	attempt int
	names   []string
}

// objectsOf returns the keys of the objects that a job may have, in the order of an
// archive. needed are those among them that must be there: the files of a success and its
// result, unless that is in the copy of the ledger.
func objectsOf(ctx context.Context, s *store.Store, db *sqlite.Copied, job sqlite.Job) (keys []string, needed map[string]bool, err error) {
	needed = map[string]bool{}
	var result files
	if job.Result {
		result, err = readSmall(ctx, db, job.ID)
	} else {
		var found bool
		result, found, err = readFiles(ctx, s, store.ResultKey(job.ID))
		if found || job.State == string(jobs.Succeeded) {
			keys = append(keys, store.ResultKey(job.ID))
			needed[store.ResultKey(job.ID)] = job.State == string(jobs.Succeeded)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	for _, name := range result.names {
		key := store.FileKey(job.ID, result.attempt, name)
		keys, needed[key] = append(keys, key), true
	}
	saved, err := db.Checkpoints(ctx, job.ID)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range saved {
		keys = append(keys, store.CheckpointKey(job.ID, c.Attempt, c.Number))
	}
	for n := 1; n <= job.Attempt; n++ {
		keys = append(keys, store.LogKey(job.ID, n), store.SeriesKey(job.ID, n))
		for _, list := range []string{store.OutputKey(job.ID, n), store.AsideKey(job.ID, n)} {
			left, found, err := readFiles(ctx, s, list)
			if err != nil {
				return nil, nil, err
			}
			if !found {
				continue
			}
			keys = append(keys, list)
			for _, name := range left.names {
				keys = append(keys, store.FileKey(job.ID, n, name))
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), needed, nil
}

// readSmall reads the files that a result in the ledger names.
func readSmall(ctx context.Context, db *sqlite.Copied, id string) (list files, err error) {
	document, err := db.Result(ctx, id)
	if err == nil {
		list, err = parseFiles(bytes.NewReader(document))
	}
	if err != nil {
		return list, fmt.Errorf("the result of job %s in the ledger: %w", id, err)
	}
	return list, nil
}

// readFiles reads the files that the document at a key names. found is false if there is
// no document.
func readFiles(ctx context.Context, s *store.Store, key string) (list files, found bool, err error) {
	object, err := s.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return list, false, nil
	}
	if err != nil {
		return list, false, err
	}
	defer object.Close()
	if list, err = parseFiles(object); err != nil {
		return list, true, fmt.Errorf("%s: %w", key, err)
	}
	return list, true, nil
}

// parseFiles reads the members attempt and artifacts of a document of any size.
func parseFiles(r io.Reader) (list files, err error) {
	d := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return list, errors.Join(err, errors.New("it is no JSON object"))
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return list, err
		}
		switch name.String() {
		case "attempt":
			err = json.UnmarshalDecode(d, &list.attempt)
		case "artifacts":
			err = list.read(d)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return list, err
		}
	}
	_, err = d.ReadToken()
	return list, err
}

// read reads the list of files.
func (f *files) read(d *jsontext.Decoder) error {
	var list []struct {
		Name string `json:"name"`
	}
	begin := d.InputOffset()
	if err := json.UnmarshalDecode(d, &list); err != nil {
		return err
	}
	if d.InputOffset()-begin > maxFiles {
		return errors.New("the list of files is too large")
	}
	for _, file := range list {
		f.names = append(f.names, file.Name)
	}
	return nil
}
