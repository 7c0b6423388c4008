package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// maxName is the longest name that a file can have, in bytes.
const maxName = 255

// files fetches files, of at most limit bytes together, into a folder.
func (f *Fetcher) files(ctx context.Context, dir string, files []jobs.File, limit int64) ([]jobs.Source, error) {
	var sources []jobs.Source
	for i, file := range files {
		got, err := f.file(ctx, dir, file, limit)
		if err != nil {
			return sources, fileFault(err, i, file.Name)
		}
		limit -= got.Size
		sources = append(sources, got)
	}
	return sources, nil
}

// file fetches one file of at most limit bytes into a folder.
func (f *Fetcher) file(ctx context.Context, dir string, file jobs.File, limit int64) (jobs.Source, error) {
	if file.Name != filepath.Base(file.Name) || !filepath.IsLocal(file.Name) || file.Name == "." ||
		len(file.Name) > maxName || strings.ContainsRune(file.Name, 0) {
		return jobs.Source{}, fmt.Errorf("%q is not the name of a file", file.Name)
	}
	out, err := os.OpenFile(filepath.Join(dir, file.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case nameRefused(err):
		return jobs.Source{}, fmt.Errorf("no file can have its name here: %w", err)
	case err != nil:
		return jobs.Source{}, &local{err}
	}
	src := source{url: file.URL, sha256: file.SHA256, size: -1, limit: limit}
	if file.Size > 0 {
		src.size, src.limit = file.Size, min(limit, file.Size)
	}
	got, err := f.fetch(ctx, src, fileSink{out})
	if closed := out.Close(); err == nil && closed != nil {
		err = &local{closed}
	}
	got.Name = file.Name
	return got, err
}

// nameRefused reports whether the file system refuses a name: it is too long, has
// characters that are not allowed, or another file of the job has the same name, or
// one that differs only in case.
func nameRefused(err error) bool {
	for _, refused := range []error{unix.EEXIST, unix.ENAMETOOLONG, unix.EINVAL, unix.EILSEQ} {
		if errors.Is(err, refused) {
			return true
		}
	}
	return false
}

// fileFault returns the fault for file i of a job, which could not be fetched.
func fileFault(err error, i int, name string) error {
	var here *local
	if errors.As(err, &here) {
		return fault.OfNode("an input file cannot be stored", err)
	}
	return &fault.Fault{
		Outcome: jobs.OutcomeInput,
		Message: fmt.Sprintf("the file %s cannot be had: %s", name, err),
		Pointer: "/files/" + strconv.Itoa(i) + "/url",
		Awaits:  temporary(err),
	}
}

// fileSink is a sink into a file.
type fileSink struct{ *os.File }

func (f fileSink) reset() error {
	_, err := f.Seek(0, io.SeekStart)
	return errors.Join(err, f.Truncate(0))
}
