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
)

// readEntries is how many names of a folder are read at once.
const readEntries = 1024

// removeJobs also syncs the folders that it changed.
func (s *disk) removeJobs(ctx context.Context, list []JobObjects) error {
	changed := map[string]bool{}
	shards := map[string][]string{}
	for _, j := range list {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("store: %w", context.Cause(ctx))
		}
		for _, key := range jobKeys(j) {
			if err := s.removeOne(key, changed); err != nil {
				return err
			}
		}
		for _, shard := range shardsOf(j.ID) {
			shards[shard] = append(shards[shard], j.ID)
		}
	}
	for shard, ids := range shards {
		keys, err := s.keysOf(ctx, shard, ids)
		for i := 0; err == nil && i < len(keys); i++ {
			err = s.removeOne(keys[i], changed)
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

func (s *disk) remove(_ context.Context, key string) error { return s.root.Remove(key) }

func (s *disk) removeOne(key string, changed map[string]bool) error {
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
func (s *disk) keysOf(ctx context.Context, dir string, ids []string) (keys []string, err error) {
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
func (s *disk) eachEntry(ctx context.Context, dir string, f func(fs.DirEntry) bool) error {
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

func (s *disk) syncFolder(dir string) error {
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
