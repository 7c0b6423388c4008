package worker

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

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxArtifacts is how many files of out/ are kept, and maxOutFolders how deep
	// folders in it may be.
	maxArtifacts  = 1000
	maxOutFolders = 16
	// maxOutEntries is how many names in out/ are looked at.
	maxOutEntries = 10_000
	// maxPath is the longest name of a file with its folders, in bytes.
	maxPath = 512
	// maxLeftOut is how many of the files that are not kept are named.
	maxLeftOut = 100
)

// outFolder is one walk through what a program left in out/. Nothing in it is
// followed: the program may have put links, devices or pipes there.
type outFolder struct {
	*attempt
	// strict has what is too much be a fault: no file may be missing from a
	// result. Else it is left out.
	strict  bool
	room    int64 // bytes that may still be stored
	at      func(name string) string
	list    []jobs.Artifact
	left    []jobs.LeftOut
	unnamed int    // left out beyond those in left
	entries int    // looked at
	device  uint64 // of the file system
	inside  map[uint64]uint64
}

// collect stores the files and says which it leaves out.
func (o *outFolder) collect(ctx context.Context) error {
	dir, err := openFolder(filepath.Join(o.dir, "out"))
	switch {
	case byProgram(err):
		return finalFault("the folder out cannot be read: " + err.Error())
	case err != nil:
		return nodeFault("the folder out cannot be read", err)
	}
	defer dir.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return nodeFault("the folder out cannot be read", err)
	}
	o.device = uint64(st.Dev)
	return o.folder(ctx, dir, "", 1)
}

// leftOut names what is left out, as far as there is room for that.
func (o *outFolder) leftOut() []jobs.LeftOut {
	if o.unnamed == 0 {
		return o.left
	}
	return append(o.left, jobs.LeftOut{Reason: fmt.Sprintf("%d more are not named here", o.unnamed)})
}

// leave leaves a file out, with a note in the log.
func (o *outFolder) leave(name, reason string) error {
	if name = clean(strings.Map(oneLine, name), maxPath); len(o.left) < maxLeftOut {
		o.left = append(o.left, jobs.LeftOut{Name: name, Reason: reason})
		fmt.Fprintf(&o.log, "runnerbean: out/%s is not kept: %s\n", name, reason)
	} else {
		o.unnamed++
	}
	return nil
}

func oneLine(r rune) rune {
	if invisible(r) {
		return utf8.RuneError
	}
	return r
}

// tooMuch is a fault of a result, and leaves a file out of other attempts.
func (o *outFolder) tooMuch(name, fault, reason string) error {
	if o.strict {
		return finalFault(fault)
	}
	return o.leave(name, reason)
}

func finalFault(message string) error {
	return &fault{outcome: jobs.OutcomeError, final: true, message: message}
}

// folder goes through one folder; prefix is its name with a slash.
func (o *outFolder) folder(ctx context.Context, dir *os.File, prefix string, depth int) error {
	names, err := dir.Readdirnames(maxOutEntries - o.entries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nodeFault("the folder out/"+prefix+" cannot be read", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if o.entries++; o.entries > maxOutEntries {
			return o.tooMuch(prefix, fmt.Sprintf("it left more than %d files and folders in out", maxOutEntries), "out has too many files and folders")
		}
		if err := ctx.Err(); err != nil {
			return nodeFault("out cannot be read", context.Cause(ctx))
		}
		if err := o.entry(ctx, dir, prefix+name, name, depth); err != nil {
			return err
		}
	}
	return nil
}

// entry stores what is at path if that is a file, and goes into it if it is a
// folder. It opens nothing else: to open a device may do something.
func (o *outFolder) entry(ctx context.Context, dir *os.File, path, name string, depth int) error {
	if reason := badPath(path); reason != "" {
		return o.leave(path, reason)
	}
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch kind := st.Mode & unix.S_IFMT; {
	case err != nil:
		return o.unreadable(path, err)
	case kind == unix.S_IFLNK:
		return o.leave(path, "it is a symbolic link")
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return o.leave(path, "it is not a regular file")
	case uint64(st.Dev) != o.device:
		return o.leave(path, "it is on another file system")
	case kind == unix.S_IFREG:
		return o.file(ctx, dir, path, name)
	case depth == maxOutFolders:
		return o.leave(path, fmt.Sprintf("folders in out are kept %d deep", maxOutFolders))
	}
	child, err := descend(int(dir.Fd()), name)
	if err != nil {
		return o.unreadable(path, err)
	}
	defer child.Close()
	return o.folder(ctx, child, path+"/", depth+1)
}

func (o *outFolder) unreadable(path string, err error) error {
	if byProgram(err) {
		return o.leave(path, err.Error())
	}
	return nodeFault("the file "+path+" cannot be read", err)
}

// badPath says why a file cannot have that name; nothing where it can.
func badPath(path string) string {
	switch {
	case !utf8.ValidString(path) || strings.ContainsFunc(path, invisible):
		return "its name has characters that names cannot have"
	case len(path) > maxPath:
		return fmt.Sprintf("its name is longer than %d bytes", maxPath)
	}
	return ""
}

// invisible characters make a name look like another one, or break lines.
func invisible(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

func (o *outFolder) file(ctx context.Context, dir *os.File, path, name string) error {
	if len(o.list) == maxArtifacts {
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
		return nodeFault("the file "+path+" cannot be read", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return o.leave(path, "it is not a regular file")
	case st.Nlink > 1 && !o.allInside(ctx, &st):
		return o.leave(path, "it has another name outside of the working directory (a hard link)")
	case st.Size > o.room:
		return o.tooLarge(path)
	}
	return o.store(ctx, f, path)
}

func (o *outFolder) store(ctx context.Context, f *os.File, path string) error {
	one := jobs.Artifact{Name: path, URL: o.at(path)}
	err := o.storeArtifact(ctx, f, &one, o.room)
	switch {
	case errors.Is(err, store.ErrTooBig):
		return o.tooLarge(path)
	case err != nil:
		return nodeFault("the file "+path+" cannot be stored", err)
	}
	o.list = append(o.list, one)
	o.room -= one.Size
	return nil
}

func (o *outFolder) tooLarge(path string) error {
	return o.tooMuch(path, fmt.Sprintf("the files in out are larger than %s together", Size(o.cfg.MaxFiles)),
		fmt.Sprintf("the files together are larger than %s", Size(o.cfg.MaxFiles)))
}

// allInside reports whether all names of a file are in the working directory:
// else it may be a file of somebody else, which the program cannot even read.
func (o *outFolder) allInside(ctx context.Context, st *unix.Stat_t) bool {
	if o.inside == nil {
		o.inside = map[uint64]uint64{}
		top, err := descend(unix.AT_FDCWD, o.dir)
		if err != nil {
			return false
		}
		defer top.Close()
		c := census{ctx: ctx, limit: math.MaxInt64, links: o.inside}
		if err := c.folder(top, 1); err != nil {
			clear(o.inside)
		}
	}
	return o.inside[st.Ino] >= uint64(st.Nlink)
}
