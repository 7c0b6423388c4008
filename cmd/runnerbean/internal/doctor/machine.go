package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/diskuse"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/internal/vitals"
	"github.com/runnerbean/runnerbean/worker"
)

// checkFolder makes, syncs and removes a file in a folder.
func checkFolder(check name, folder, setting string) Finding {
	do := "make it writable for the user that runs the node, or set " + setting
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return check.failure(err.Error(), do)
	}
	file, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return check.failure(err.Error(), do)
	}
	defer os.Remove(file.Name())
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return check.failure(err.Error(), do)
	}
	return check.ok(folder + " can be written")
}

// checkCache says nothing of a cache that can be written.
func checkCache(set settings.Settings) []Finding {
	if f := checkFolder("cache", set.CacheFolder(), "RUNNERBEAN_CACHE=0"); f.Status != "ok" {
		f.Status = "warning" // the node works without it
		return []Finding{f}
	}
	return nil
}

// checkStoreFolder tries whether the file system of the store does what a store requires. It
// makes no store: a folder that is not there yet is tried in the one above.
func checkStoreFolder(ctx context.Context, set settings.Settings) Finding {
	const check = name("store folder")
	folder := set.StoreFolder()
	if folder == "" {
		return check.ok("the store is a bucket")
	}
	const do = "make the folder writable for the user that runs the node, or set RUNNERBEAN_STORE to a folder on a file system with hard links, locks and renames that replace (ext4, XFS, NFS; not FAT, exFAT or SMB), or to s3://"
	tried := make(chan error, 1)
	go func() { tried <- store.TryFolder(existing(folder)) }()
	select {
	case err := <-tried:
		if err != nil {
			return check.failure(existing(folder)+": "+strings.ReplaceAll(err.Error(), "\n", "; "), do)
		}
		return check.ok(existing(folder) + " has links and renames as a store requires")
	case <-ctx.Done():
		return check.failure(existing(folder)+" does not answer", "check the server of the mount, see RUNNERBEAN_STORE")
	}
}

// useTimeout is how long is measured what takes room.
const useTimeout = 3 * time.Second

func checkDisk(ctx context.Context, set settings.Settings) Finding {
	const check = name("disk")
	place, what := set.StoreFolder(), "results"
	if place == "" { // the store is a bucket
		place, what = set.Data, "running jobs"
	}
	total, free, err := vitals.DiskSpace(existing(place))
	if err != nil {
		return check.warning(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, useTimeout)
	defer cancel()
	disk := api.Disk{Total: total, Free: free, Floor: int64(set.MinFree)}
	if folder := set.LedgerFolder(); folder != "" && vitals.SameDisk(existing(place), folder) {
		seen, _ := ledger.Peek(ctx, set.Ledger) // checkSchema tells an error
		disk.Reusable = seen.Reusable
	}
	use := diskuse.Measure(ctx, set)
	detail := text.JoinClauses(health.DiskRoom(disk)+" for "+what, use.Text())
	if word := health.DiskWord(disk); word != "" {
		return check.warning(word+": "+detail, text.JoinClauses("make room, or set RUNNERBEAN_STORE to a larger disk", use.Advice()))
	}
	return check.ok(detail)
}

// existing returns path, or the nearest folder above it that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// checkOpenFiles warns where the limits of this process or its memory do not hold the
// slots, and where jobs leave few open files for HTTP.
func checkOpenFiles(set settings.Settings) Finding {
	const check = name("open files")
	files := node.OpenFiles()
	warning, err := node.CheckLimits(set)
	if err != nil {
		return check.warning(err.Error(), "a service has the limits of its unit, not those of this shell")
	}
	if warning != "" {
		return check.warning(warning, "lower RUNNERBEAN_MAX_MEMORY or RUNNERBEAN_SLOTS, or raise MemoryMax of the systemd unit")
	}
	detail := fmt.Sprintf("%d may be open at one time; HTTP takes %d connections beside %d slots", files, node.HTTPConnections(files, set.Slots, len(set.Beanstalkd)), set.Slots)
	if files < node.OwnFiles+set.Slots*node.SlotFiles(len(set.Beanstalkd))+node.RoomyFiles {
		return check.warning(detail, "raise the limit (ulimit -n, or LimitNOFILE in the systemd unit)")
	}
	return check.ok(detail)
}

// checkIsolation says how programs are isolated.
func checkIsolation() Finding {
	return name("isolation").ok(worker.Isolation())
}

func checkSystem() Finding {
	const check = name("system")
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if runtime.GOOS != "linux" {
		return check.warning(platform+": programs that leave their process group, or outlive a killed node, are not ended", "run nodes on Linux")
	}
	if os.Geteuid() == 0 {
		return check.warning("programs run as root, as this user does", "run the node as a user of its own")
	}
	return check.ok(platform)
}
