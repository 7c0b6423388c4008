package workdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/worker/internal/fingerprint"
)

const (
	// maxEntries and maxFolders bound the number of files and folders in a working
	// directory, and their depth. The node has to measure and remove them.
	maxEntries = 1_000_000
	maxFolders = 128
	// smallFile is the least that a file counts, up to its size: a file system may keep
	// a small file without a block of its own.
	smallFile = 4 << 10
)

// Excess is the error for a working directory that takes more than it may.
type Excess struct{ message string }

func (e *Excess) Error() string { return e.message }

// measure adds up what is in dir. It returns an *Excess if that is more than limit
// bytes, or if there are too many or too deeply nested files. A file counts the blocks
// that it takes, so that holes are free.
func measure(ctx context.Context, dir *os.File, limit int64) error {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return err
	}
	makeReadable(dir)
	c := usageWalk{ctx: ctx, limit: limit}
	return c.folder(dir, 1)
}

// usageWalk adds up a tree that others may change meanwhile. It works on open folders,
// so that it follows no links and needs no long paths.
type usageWalk struct {
	ctx          context.Context
	limit, bytes int64
	entries      int
	links        map[uint64]uint64 // counts the names of files that have several, by inode; may be nil
}

func (c *usageWalk) folder(f *os.File, depth int) error {
	if depth > maxFolders {
		return &Excess{fmt.Sprintf("the folders in its working directory are nested more than %d deep", maxFolders)}
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
			return ignoreVanished(err)
		}
	}
}

func (c *usageWalk) entry(parent *os.File, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(parent.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return ignoreVanished(err)
	}
	c.entries++
	c.bytes += diskUsage(&st)
	if c.links != nil && st.Nlink > 1 && st.Mode&unix.S_IFMT == unix.S_IFREG {
		c.links[st.Ino]++
	}
	switch {
	case c.entries > maxEntries:
		return &Excess{fmt.Sprintf("it has more than %d files in its working directory", maxEntries)}
	case c.bytes > c.limit:
		return &Excess{fmt.Sprintf("the files in its working directory take more than %s", bytesize.Size(c.limit))}
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return nil
	}
	child, err := openFolderAt(int(parent.Fd()), name)
	if err != nil {
		return ignoreVanished(err)
	}
	defer child.Close()
	return c.folder(child, depth+1)
}

// diskUsage returns the bytes that a file takes of the disk, divided by the number of its
// names.
func diskUsage(st *unix.Stat_t) int64 {
	n := max(st.Blocks*512, min(st.Size, smallFile))
	if links := int64(st.Nlink); links > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		n = (n + links - 1) / links
	}
	return n
}

// openFolderAt opens a folder. It changes permissions that keep its owner out.
func openFolderAt(parent int, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_DIRECTORY | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(parent, name, flags, 0)
	if errors.Is(err, unix.EACCES) && unix.Fchmodat(parent, name, 0o700, 0) == nil {
		fd, err = unix.Openat(parent, name, flags, 0)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	makeReadable(f)
	return f, nil
}

// makeReadable gives the owner of an open folder the permissions to read and search it.
func makeReadable(f *os.File) {
	if m, err := fingerprint.Fstat(f); err == nil && m.Mode()&0o500 != 0o500 {
		_ = f.Chmod(0o700)
	}
}

// ignoreVanished drops the errors of files that were removed or replaced meanwhile, and of
// those that even their owner cannot read.
func ignoreVanished(err error) error {
	for _, harmless := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EACCES} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}
