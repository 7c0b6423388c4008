package node

import (
	"log/slog"
	"os"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/store/readcache"
)

// keepCopies opens the cache of a store in a bucket, and otherwise removes what is left of one.
// The node works without it, too.
func keepCopies(s *store.Store, set settings.Settings, log *slog.Logger) {
	folder := set.CacheFolder()
	err := error(nil)
	if set.Caches() {
		room := func() int64 { return cacheRoom(set) }
		err = s.KeepCopies(readcache.Config{Folder: folder, Limit: int64(set.Cache), Room: room, Logger: log})
	} else {
		err = os.RemoveAll(folder)
	}
	if err != nil {
		log.Warn("this node keeps no copies of objects of the bucket", "node", set.Node, "folder", folder, "err", err)
	}
}

// cacheRoom returns how many bytes copies may still take. They leave twice as much as is needed
// for work, so that the node is not full as soon as something else is written.
func cacheRoom(set settings.Settings) int64 {
	free, err := freeAt(set.Data)
	if err != nil {
		return 0
	}
	return free - 2*int64(set.MinFree)
}
