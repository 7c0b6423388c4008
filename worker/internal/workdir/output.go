package workdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

const (
	// maxArtifacts bounds the number of files of out/ that are kept, and maxOutFolders
	// the depth of folders in it.
	maxArtifacts  = 1000
	maxOutFolders = 16
	// maxOutEntries bounds the number of names in out/ that are looked at.
	maxOutEntries = 10_000
	// maxPath bounds the name of a file with its folders, in bytes.
	maxPath = 512
	// maxLeftOut bounds how many of the files that are not kept are named.
	maxLeftOut = 100
)

// StoreFile stores the file f under name. It returns store.ErrTooBig if f has more than
// room bytes.
type StoreFile func(ctx context.Context, f *os.File, name string, room int64) (jobs.Artifact, error)

// Output collects the files that a program left in out/. It opens nothing but regular
// files and folders: the program may have put links, devices or pipes there.
type Output struct {
	// Dir is the working directory; empty if the program left nothing.
	Dir string
	// Strict makes it a fault if there is too much: no file may be missing from a
	// result. Otherwise it is left out.
	Strict bool
	// MaxBytes bounds the files together.
	MaxBytes int64
	// Log gets a line for every file that is left out.
	Log io.Writer
	// Store stores one file.
	Store StoreFile

	Artifacts []jobs.Artifact // that were stored

	room    int64 // bytes that may still be stored
	left    []jobs.LeftOut
	unnamed int    // left out beyond those in left
	entries int    // looked at
	device  uint64 // of the file system
	inside  map[uint64]uint64
}

// Collect stores the files. Its errors are faults.
func (o *Output) Collect(ctx context.Context) error {
	if o.Dir == "" {
		return nil
	}
	o.room = o.MaxBytes
	dir, err := openFolder(filepath.Join(o.Dir, "out"))
	switch {
	case byProgram(err):
		return fault.OfProgram("the folder out cannot be read: " + err.Error())
	case err != nil:
		return fault.OfNode("the folder out cannot be read", err)
	}
	defer dir.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return fault.OfNode("the folder out cannot be read", err)
	}
	o.device = uint64(st.Dev)
	return o.folder(ctx, dir, "", 1)
}

// LeftOut returns the files that are left out. Beyond maxLeftOut it only counts them.
func (o *Output) LeftOut() []jobs.LeftOut {
	if o.unnamed == 0 {
		return o.left
	}
	return append(o.left, jobs.LeftOut{Reason: fmt.Sprintf("%d more are not named here", o.unnamed)})
}

// leaveOut leaves a file out and writes that to the log.
func (o *Output) leaveOut(name, reason string) error {
	if name = logtext.Clean(strings.Map(oneLine, name), maxPath); len(o.left) < maxLeftOut {
		o.left = append(o.left, jobs.LeftOut{Name: name, Reason: reason})
		fmt.Fprintf(o.Log, "runnerbean: out/%s is not kept: %s\n", name, reason)
	} else {
		o.unnamed++
	}
	return nil
}

// oneLine replaces characters that break lines or hide text.
func oneLine(r rune) rune {
	if invisible(r) {
		return utf8.RuneError
	}
	return r
}

// tooMuch returns a fault if the output is a result, and leaves the file out otherwise.
func (o *Output) tooMuch(name, message, reason string) error {
	if o.Strict {
		return fault.OfProgram(message)
	}
	return o.leaveOut(name, reason)
}

// folder stores the files in one folder. prefix is its name with a slash.
func (o *Output) folder(ctx context.Context, dir *os.File, prefix string, depth int) error {
	names, err := dir.Readdirnames(maxOutEntries - o.entries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return fault.OfNode("the folder out/"+prefix+" cannot be read", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if o.entries++; o.entries > maxOutEntries {
			return o.tooMuch(prefix, fmt.Sprintf("it left more than %d files and folders in out", maxOutEntries), "out has too many files and folders")
		}
		if err := ctx.Err(); err != nil {
			return fault.OfNode("out cannot be read", context.Cause(ctx))
		}
		if err := o.entry(ctx, dir, prefix+name, name, depth); err != nil {
			return err
		}
	}
	return nil
}

// entry stores a file or the files in a folder. It opens nothing else: to open a device
// may have an effect.
func (o *Output) entry(ctx context.Context, dir *os.File, path, name string, depth int) error {
	if reason := badPath(path); reason != "" {
		return o.leaveOut(path, reason)
	}
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch kind := st.Mode & unix.S_IFMT; {
	case err != nil:
		return o.unreadable(path, err)
	case kind == unix.S_IFLNK:
		return o.leaveOut(path, "it is a symbolic link")
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return o.leaveOut(path, "it is not a regular file")
	case uint64(st.Dev) != o.device:
		return o.leaveOut(path, "it is on another file system")
	case kind == unix.S_IFREG:
		return o.file(ctx, dir, path, name)
	case depth == maxOutFolders:
		return o.leaveOut(path, fmt.Sprintf("folders in out are kept %d deep", maxOutFolders))
	}
	child, err := openFolderAt(int(dir.Fd()), name)
	if err != nil {
		return o.unreadable(path, err)
	}
	defer child.Close()
	return o.folder(ctx, child, path+"/", depth+1)
}

// unreadable leaves a file out, or returns a fault if the node cannot read it.
func (o *Output) unreadable(path string, err error) error {
	if byProgram(err) {
		return o.leaveOut(path, err.Error())
	}
	return fault.OfNode("the file "+path+" cannot be read", err)
}

// badPath returns why a file cannot have that name; empty if it can.
func badPath(path string) string {
	switch {
	case !utf8.ValidString(path) || strings.ContainsFunc(path, invisible):
		return "its name has characters that names cannot have"
	case len(path) > maxPath:
		return fmt.Sprintf("its name is longer than %d bytes", maxPath)
	}
	return ""
}

// invisible reports characters that break lines or make a name look like another one.
func invisible(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// file opens a file and stores it, unless it is not the program's own.
func (o *Output) file(ctx context.Context, dir *os.File, path, name string) error {
	if len(o.Artifacts) == maxArtifacts {
		return o.tooMuch(path, fmt.Sprintf("it left more than %d files in out", maxArtifacts), fmt.Sprintf("%d files are kept", maxArtifacts))
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return o.unreadable(path, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fault.OfNode("the file "+path+" cannot be read", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return o.leaveOut(path, "it is not a regular file")
	case st.Nlink > 1 && !o.allInside(ctx, &st):
		return o.leaveOut(path, "it has another name outside of the working directory (a hard link)")
	case st.Size > o.room:
		return o.tooLarge(path)
	}
	return o.store(ctx, f, path)
}

// store stores an open file.
func (o *Output) store(ctx context.Context, f *os.File, path string) error {
	one, err := o.Store(ctx, f, path, o.room)
	switch {
	case errors.Is(err, store.ErrTooBig):
		return o.tooLarge(path)
	case err != nil:
		return fault.OfNode("the file "+path+" cannot be stored", err)
	}
	o.Artifacts = append(o.Artifacts, one)
	o.room -= one.Size
	return nil
}

func (o *Output) tooLarge(path string) error {
	return o.tooMuch(path, fmt.Sprintf("the files in out are larger than %s together", bytesize.Size(o.MaxBytes)),
		fmt.Sprintf("the files together are larger than %s", bytesize.Size(o.MaxBytes)))
}

// allInside reports whether all names of a file are in the working directory. If not,
// it may be the file of another user, which the program cannot even read.
func (o *Output) allInside(ctx context.Context, st *unix.Stat_t) bool {
	if o.inside == nil {
		o.inside = map[uint64]uint64{}
		top, err := openFolderAt(unix.AT_FDCWD, o.Dir)
		if err != nil {
			return false
		}
		defer top.Close()
		c := usageWalk{ctx: ctx, limit: math.MaxInt64, links: o.inside}
		if err := c.folder(top, 1); err != nil {
			clear(o.inside)
		}
	}
	return o.inside[st.Ino] >= uint64(st.Nlink)
}

// byProgram reports whether an error comes from what the program has put there. A file
// must not be missing from a result because of other errors, such as a bad disk or too
// many open files.
func byProgram(err error) bool {
	for _, own := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO, unix.ENODEV, unix.EACCES} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

func openFolder(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
}
