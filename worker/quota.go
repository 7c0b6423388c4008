package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// quotaEvery is how often a working directory is measured, and quotaMost
	// how seldom where that is slow: it takes at most a twentieth of the time.
	quotaEvery = time.Second
	quotaMost  = 30 * time.Second
	quotaShare = 20
	// maxEntries and maxFolders bound how many files and folders a program may
	// keep, and how deep: to measure and to remove them costs the node.
	maxEntries = 1_000_000
	maxFolders = 128
	// smallFile is what a file counts at least, up to its size: a file system
	// may keep a small one where it has no block of its own.
	smallFile = 4 << 10
)

// excess is a working directory that takes more than it may.
type excess struct{ message string }

func (e *excess) Error() string { return e.message }

// watchScratch kills the program once its working directory takes more than
// limit bytes. The caller calls stop, which returns when no measurement is
// under way.
func (a *attempt) watchScratch(limit int64) (stop func()) {
	if limit <= 0 {
		return func() {}
	}
	// Opened before the program can move it away.
	dir, err := descend(unix.AT_FDCWD, a.dir)
	if err != nil {
		a.logger.Warn("the folder of a program cannot be measured", "err", err)
		return func() {}
	}
	end := repeat(quotaEvery, func(ctx context.Context) time.Duration {
		start := time.Now()
		a.aside(func() { a.checkScratch(ctx, dir, limit) })
		return min(max(quotaEvery, quotaShare*time.Since(start)), quotaMost)
	})
	return func() {
		end()
		dir.Close()
	}
}

// killedHere is the end of an attempt whose program this node has killed. One whose
// files are too much would be killed again.
func (a *attempt) killedHere() error {
	cause := context.Cause(a.killed)
	_, over := errors.AsType[*excess](cause)
	return &fault{outcome: jobs.OutcomeKilled, final: over, message: cause.Error()}
}

// checkScratch kills a program whose folder has become too large.
func (a *attempt) checkScratch(ctx context.Context, dir *os.File, limit int64) {
	err := measure(ctx, dir, limit)
	var over *excess
	switch {
	case errors.As(err, &over):
		a.kill(over)
	case err != nil && ctx.Err() == nil:
		a.logger.Warn("the folder of a running program cannot be measured", "err", err)
	}
}

// repeat calls f after d, and again after as long as it says each time. stop
// ends that, and returns when f does not run any more.
func repeat(d time.Duration, f func(context.Context) time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() == nil {
			timer.Reset(f(ctx))
		}
	})
	return func() {
		cancel()
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}

// measure adds up what is in dir, and fails with an *excess once that is more
// than limit bytes, or too many or too deeply nested files. Files count the
// blocks that they take, so that holes are free.
func measure(ctx context.Context, dir *os.File, limit int64) error {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return err
	}
	reveal(dir)
	c := census{ctx: ctx, limit: limit}
	return c.folder(dir, 1)
}

// census is one walk through a tree that others change meanwhile. It works on
// open folders, so that neither links nor long paths lead it astray.
type census struct {
	ctx          context.Context
	limit, bytes int64
	entries      int
	links        map[uint64]uint64 // of files with several names, those seen; nil where nobody asks
}

func (c *census) folder(f *os.File, depth int) error {
	if depth > maxFolders {
		return &excess{fmt.Sprintf("the folders in its working directory are nested more than %d deep", maxFolders)}
	}
	for {
		names, err := f.Readdirnames(256)
		for _, name := range names {
			if err := c.entry(f, name, depth); err != nil {
				return err
			}
		}
		switch {
		case c.ctx.Err() != nil:
			return c.ctx.Err()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return vanished(err)
		}
	}
}

func (c *census) entry(parent *os.File, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(parent.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return vanished(err)
	}
	c.entries++
	c.bytes += taken(&st)
	if c.links != nil && st.Nlink > 1 && st.Mode&unix.S_IFMT == unix.S_IFREG {
		c.links[st.Ino]++
	}
	switch {
	case c.entries > maxEntries:
		return &excess{fmt.Sprintf("it has more than %d files in its working directory", maxEntries)}
	case c.bytes > c.limit:
		return &excess{fmt.Sprintf("the files in its working directory take more than %s", Size(c.limit))}
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return nil
	}
	child, err := descend(int(parent.Fd()), name)
	if err != nil {
		return vanished(err)
	}
	defer child.Close()
	return c.folder(child, depth+1)
}

// taken is what a file takes of the disk, in bytes: its share where it has
// several names.
func taken(st *unix.Stat_t) int64 {
	n := max(st.Blocks*512, min(st.Size, smallFile))
	if links := int64(st.Nlink); links > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		n = (n + links - 1) / links
	}
	return n
}

// descend opens a folder, also one that its owner has made hard to look into.
func descend(parent int, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_DIRECTORY | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(parent, name, flags, 0)
	if errors.Is(err, unix.EACCES) && unix.Fchmodat(parent, name, 0o700, 0) == nil {
		fd, err = unix.Openat(parent, name, flags, 0)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	reveal(f)
	return f, nil
}

// reveal lets the owner of an open folder read it and look at what is in it.
func reveal(f *os.File) {
	if m, err := fstat(f); err == nil && m.mode&0o500 != 0o500 {
		_ = f.Chmod(0o700)
	}
}

// vanished drops the errors of files that went away or became something else
// while they were looked at, or that even their owner cannot see into.
func vanished(err error) error {
	for _, harmless := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EACCES} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}
