package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Kinds are the folders of a store that hold objects of jobs.
var Kinds = []string{"results", "logs", "series", "files", "outputs", "aside"}

// JobObjects names a job and the number of its newest attempt.
type JobObjects struct {
	ID       string
	Attempts int
}

// readEntries is how many names of a folder are read at once.
const readEntries = 1024

// RemoveJobs removes all objects of jobs, and syncs the folders that it changed, so that
// no power cut brings an object back. It does nothing for objects that are not there. An
// error means that some objects may be left; the call can be repeated.
func (s *Store) RemoveJobs(ctx context.Context, list []JobObjects) (err error) {
	defer s.watch("remove-jobs", time.Now(), &err)
	changed := map[string]bool{}
	shards := map[string][]string{}
	for _, j := range list {
		if CheckKey(ResultKey(j.ID)) != nil {
			continue // no object can have such a key
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("store: %w", context.Cause(ctx))
		}
		for _, key := range jobKeys(j) {
			if err := s.remove(key, changed); err != nil {
				return err
			}
		}
		shard := path.Dir(FileKey(j.ID, 1, "x"))
		shards[shard] = append(shards[shard], j.ID)
	}
	for shard, ids := range shards {
		keys, err := s.keysOf(ctx, shard, ids)
		for i := 0; err == nil && i < len(keys); i++ {
			err = s.remove(keys[i], changed)
		}
		if err != nil {
			return err
		}
	}
	for dir := range changed {
		if err := s.syncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// jobKeys returns the keys of all objects of a job but its files.
func jobKeys(j JobObjects) []string {
	keys := []string{ResultKey(j.ID)}
	for n := 1; n <= j.Attempts; n++ {
		keys = append(keys, LogKey(j.ID, n), SeriesKey(j.ID, n), OutputKey(j.ID, n), AsideKey(j.ID, n))
	}
	return keys
}

func (s *Store) remove(key string, changed map[string]bool) error {
	err := s.root.Remove(key)
	switch {
	case err == nil:
		changed[path.Dir(key)] = true
	case !errors.Is(err, fs.ErrNotExist):
		return fault(key, err)
	}
	return nil
}

// keysOf returns the keys of the objects in a folder whose names begin with one of ids.
func (s *Store) keysOf(ctx context.Context, dir string, ids []string) (keys []string, err error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	err = s.eachEntry(ctx, dir, func(e fs.DirEntry) bool {
		if id, _, _ := strings.Cut(e.Name(), "."); wanted[id] {
			keys = append(keys, dir+"/"+e.Name())
		}
		return true
	})
	return keys, err
}

// eachEntry calls f for the entries of a folder until it returns false. A folder that is
// not there has none.
func (s *Store) eachEntry(ctx context.Context, dir string, f func(fs.DirEntry) bool) error {
	d, err := s.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault(dir, err)
	}
	defer d.Close()
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("store: %w", context.Cause(ctx))
		}
		list, err := d.ReadDir(readEntries)
		if slices.ContainsFunc(list, func(e fs.DirEntry) bool { return !f(e) }) || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault(dir, err)
		}
	}
}

func (s *Store) syncFolder(dir string) error {
	f, err := s.handle(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed by a person; nothing in it can come back
	}
	if err != nil {
		return fault(dir, err)
	}
	defer s.leave(f)
	return s.keep(f)
}
