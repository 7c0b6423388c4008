package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxArtifacts is how many files a program may leave in out/.
const maxArtifacts = 1000

// artifacts stores the files in out/, by name. Nothing in it is followed: the
// program may have put links, devices or pipes there.
func (a *attempt) artifacts(ctx context.Context) ([]jobs.Artifact, error) {
	dir, err := openFolder(filepath.Join(a.dir, "out"))
	switch {
	case byProgram(err):
		return nil, &fault{outcome: jobs.OutcomeError, final: true, message: "the folder out cannot be read: " + err.Error()}
	case err != nil:
		return nil, nodeFault("the folder out cannot be read", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxArtifacts + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nodeFault("the folder out cannot be read", err)
	}
	if len(names) > maxArtifacts {
		return nil, &fault{outcome: jobs.OutcomeError, final: true, message: fmt.Sprintf("it left more than %d files in out", maxArtifacts)}
	}
	slices.Sort(names)
	var list []jobs.Artifact
	left := a.cfg.MaxFiles
	for _, name := range names {
		one, err := a.artifact(ctx, dir, name, left)
		if err != nil {
			return nil, err
		}
		if one != nil {
			list = append(list, *one)
			left -= one.Size
		}
	}
	return list, nil
}

// byProgram tells errors that what a program has put there explains from those
// that are the node's own, such as a bad disk or too many open files: a file
// must not be missing from a result for those.
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

// artifact stores one file; it returns nil for what is none, with a note in
// the log.
func (a *attempt) artifact(ctx context.Context, dir *os.File, name string, left int64) (*jobs.Artifact, error) {
	ignore := func(why string) (*jobs.Artifact, error) {
		fmt.Fprintf(&a.log, "runnerbean: out/%s is not kept: %s\n", clean(name, maxName), why)
		return nil, nil
	}
	if !utf8.ValidString(name) || clean(name, maxName) != name {
		return ignore("its name has characters that names cannot have")
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case byProgram(err):
		return ignore(err.Error())
	case err != nil:
		return nil, nodeFault("the file "+name+" cannot be read", err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	m, err := fstat(f)
	if err != nil {
		return nil, nodeFault("the file "+name+" cannot be read", err)
	}
	if !m.is(unix.S_IFREG) {
		return ignore("it is not a regular file")
	}
	if m.size > left {
		return nil, a.tooMuch()
	}
	return a.storeArtifact(ctx, f, name, left)
}

func (a *attempt) storeArtifact(ctx context.Context, f *os.File, name string, left int64) (*jobs.Artifact, error) {
	key := store.FileKey(a.record.ID, a.record.Attempt, name)
	one := &jobs.Artifact{Name: name, URL: a.publicURL() + "/files/" + url.PathEscape(name)}
	err := a.persist(ctx, func() error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		digest := sha256.New()
		n, err := a.cfg.Store.CreateFrom(ctx, key, io.TeeReader(store.Bounded(f, left), digest))
		one.Size, one.SHA256 = n, hex.EncodeToString(digest.Sum(nil))
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		err = a.storedBefore(ctx, f, key, one)
	}
	switch {
	case errors.Is(err, store.ErrTooBig):
		return nil, a.tooMuch()
	case err != nil:
		return nil, nodeFault("the file "+name+" cannot be stored", err)
	}
	a.stored = append(a.stored, key)
	return one, nil
}

// storedBefore is for a file that a try which seemed to fail has stored all the
// same.
func (a *attempt) storedBefore(ctx context.Context, f *os.File, key string, one *jobs.Artifact) error {
	object, err := a.cfg.Store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer object.Close()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	mine, theirs := sha256.New(), sha256.New()
	n, err := io.Copy(mine, io.LimitReader(f, object.Size+1))
	if err == nil {
		_, err = io.Copy(theirs, object)
	}
	if err == nil && (n != object.Size || !bytes.Equal(mine.Sum(nil), theirs.Sum(nil))) {
		err = errors.New("another file is stored under its name")
	}
	one.Size, one.SHA256 = n, hex.EncodeToString(mine.Sum(nil))
	return err
}

func (a *attempt) tooMuch() error {
	return &fault{outcome: jobs.OutcomeError, final: true, message: fmt.Sprintf("the files in out are larger than %d bytes together", a.cfg.MaxFiles)}
}

// elsewhere reports whether the result shall be at a URL that this node does not
// serve; then it is put there, too, out of the ledger's outbox.
func (a *attempt) elsewhere() bool {
	url := a.job.Result.URL
	return url != "" && !strings.HasPrefix(url, a.cfg.BaseURL+"/")
}

// publicURL is where this node serves the job.
func (a *attempt) publicURL() string {
	if a.elsewhere() {
		return a.cfg.BaseURL + "/" + a.job.ID
	}
	return a.job.Result.URL
}
