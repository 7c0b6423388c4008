package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// maxShards is how many folders of a kind are looked into, and maxStats how many
	// objects of each.
	maxShards = 4
	maxStats  = 500
	// maxNames bounds the names that are read of one folder.
	maxNames = 100_000
)

// Usage is how much room the objects of a store take.
type Usage struct {
	Kinds []KindUsage // in the order of Kinds, without those that take none
	// Exact is false if only a part was measured. The sums are estimates then.
	Exact bool
	// Sample has the bytes of the measured objects by job.
	Sample map[string]int64
}

// KindUsage is the room that the objects of one kind take.
type KindUsage struct {
	Kind  string
	Bytes int64
	Old   int64 // of the bytes, those of objects that are older than a time
}

// Measure estimates how much room the objects in the folder of a store take, and how much
// of it those from before a time. Ids are random, so that the folders are alike: it looks
// into a few of each kind. It ends early with what it has when ctx ends.
func Measure(ctx context.Context, dir string, before time.Time) (Usage, error) {
	u := Usage{Exact: true, Sample: map[string]int64{}}
	for _, kind := range Kinds {
		shards, err := os.ReadDir(filepath.Join(dir, kind))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return u, fmt.Errorf("store: %w", err)
		}
		rand.Shuffle(len(shards), func(i, j int) { shards[i], shards[j] = shards[j], shards[i] })
		looked, k := 0, KindUsage{Kind: kind}
		for _, shard := range shards[:min(len(shards), maxShards)] {
			if ctx.Err() != nil {
				break
			}
			looked++
			u.shard(ctx, filepath.Join(dir, kind, shard.Name()), before, &k)
		}
		if looked < len(shards) {
			u.Exact = false
			k.scale(int64(len(shards)), int64(max(1, looked)))
		}
		if k.Bytes > 0 {
			u.Kinds = append(u.Kinds, k)
		}
	}
	return u, nil
}

// scale multiplies the sums by n/of.
func (k *KindUsage) scale(n, of int64) {
	k.Bytes, k.Old = int64(float64(k.Bytes)*float64(n)/float64(of)), int64(float64(k.Old)*float64(n)/float64(of))
}

// shard adds the objects of one folder to k. A folder that cannot be read has none.
func (u *Usage) shard(ctx context.Context, dir string, before time.Time, k *KindUsage) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	var names []string
	for len(names) < maxNames && ctx.Err() == nil {
		some, err := d.Readdirnames(readEntries)
		names = append(names, some...)
		if err != nil {
			break
		}
	}
	step := (len(names) + maxStats - 1) / maxStats
	measured, sum := 0, KindUsage{}
	for i := 0; i < len(names) && ctx.Err() == nil; i += step {
		measured++
		info, err := os.Lstat(filepath.Join(dir, names[i]))
		if err != nil {
			continue // removed meanwhile
		}
		sum.Bytes += info.Size()
		if info.ModTime().Before(before) {
			sum.Old += info.Size()
		}
		id, _, _ := strings.Cut(names[i], ".")
		u.Sample[id] += info.Size()
	}
	if measured < len(names) {
		u.Exact = false
		sum.scale(int64(len(names)), int64(max(1, measured)))
	}
	k.Bytes, k.Old = k.Bytes+sum.Bytes, k.Old+sum.Old
}

func (s *disk) jobSize(ctx context.Context, j JobObjects) (n int64, err error) {
	keys := jobKeys(j)
	for _, shard := range shardsOf(j.ID) {
		some, failed := s.keysOf(ctx, shard, []string{j.ID})
		keys, err = append(keys, some...), cmp.Or(err, failed)
	}
	for _, key := range keys {
		if info, missing := s.root.Lstat(key); missing == nil {
			n += info.Size()
		}
	}
	return n, err
}
