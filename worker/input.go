package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxInMemory is how much of an input is held in memory; a larger one is
	// kept in a file.
	maxInMemory = 1 << 20
	// maxWithSchema is the largest input that is checked against a schema: all of
	// it is in memory then.
	maxWithSchema = 64 << 20
	// maxName is the longest name that a file can have, in bytes.
	maxName = 255
)

// input is what a program gets on its standard input: data, or file if that is
// not nil.
type input struct {
	data []byte
	file *os.File
}

// reader reads the input from its beginning.
func (in *input) reader() (io.Reader, error) {
	if in.file == nil {
		return bytes.NewReader(in.data), nil
	}
	_, err := in.file.Seek(0, io.SeekStart)
	return in.file, err
}

// all is the whole input in memory.
func (in *input) all() ([]byte, error) {
	if in.file == nil {
		return in.data, nil
	}
	info, err := in.file.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	_, err = in.file.ReadAt(data, 0)
	return data, err
}

func (in *input) close() {
	if in.file != nil {
		in.file.Close()
		os.Remove(in.file.Name())
	}
}

// spill is an input that is being fetched: in memory until it is too large.
type spill struct {
	path string
	data bytes.Buffer
	file *os.File
}

func (s *spill) reset() error {
	s.data.Reset()
	if s.file == nil {
		return nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return errors.Join(err, s.file.Truncate(0))
}

func (s *spill) Write(p []byte) (int, error) {
	if s.file != nil {
		return s.file.Write(p)
	}
	if s.data.Len()+len(p) <= maxInMemory {
		return s.data.Write(p)
	}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	s.file = f
	if _, err := s.data.WriteTo(f); err != nil {
		return 0, err
	}
	return f.Write(p)
}

// take hands over what was fetched.
func (s *spill) take() input { return input{data: s.data.Bytes(), file: s.file} }

// fetchInput gets the standard input of a job and checks that it is JSON as
// the program wants it. The caller closes the input.
func (a *attempt) fetchInput(ctx context.Context) (input, error) {
	in, pointer := input{data: a.job.Input.Data}, "/input/data"
	if a.job.Input.URL == "" {
		a.inline()
	} else {
		pointer = "/input/url"
		var err error
		if in, err = a.download(ctx); err != nil {
			return in, inputFault(err, pointer)
		}
	}
	if err := a.checkInput(ctx, &in); err != nil {
		return in, inputFault(err, pointer)
	}
	return in, nil
}

// inline records where an input came from that is part of its job.
func (a *attempt) inline() {
	sum := sha256.Sum256(a.job.Input.Data)
	a.sources = append(a.sources, jobs.Source{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(a.job.Input.Data))})
}

func (a *attempt) download(ctx context.Context) (input, error) {
	buffer := &spill{path: a.lane.scratch.spill()}
	src := source{url: a.job.Input.URL, sha256: a.job.Input.SHA256, size: -1, limit: a.cfg.MaxInput}
	got, err := a.fetcher.fetch(ctx, src, buffer)
	in := buffer.take()
	if err != nil {
		return in, err
	}
	a.sources = append(a.sources, got)
	r, err := in.reader()
	if err != nil {
		return in, &local{err}
	}
	ctx, done := a.checking(ctx, a.timeout())
	defer done()
	if err := checkValue(ctx, r); err != nil {
		return in, fmt.Errorf("%s: %w", got.URL, a.checkFault(err))
	}
	return in, nil
}

// inputFault makes of err the end of an attempt. A value that does not fit the
// schema is pointed at itself, within the job document where it is part of it.
func inputFault(err error, pointer string) error {
	var here *local
	var over *fault
	switch {
	case errors.As(err, &here):
		return nodeFault("the input cannot be stored", err)
	case errors.As(err, &over):
		return over
	}
	message := "the input cannot be had: " + err.Error()
	var wrong *validate.Mismatch
	if errors.As(err, &wrong) {
		message = "the input is not what the program takes: " + wrong.Error()
		if pointer == "/input/data" {
			pointer += wrong.Pointer
		} else if wrong.Pointer != "" {
			pointer = wrong.Pointer
		}
	}
	return &fault{outcome: jobs.OutcomeInput, message: message, pointer: pointer, awaits: passingFault(err)}
}

// passingFault is the fault in err that may be over later; nil where it is
// final.
func passingFault(err error) *passing {
	var soon *passing
	errors.As(err, &soon)
	return soon
}

// fetchFiles gets the additional files of a job into the folder inputs.
func (a *attempt) fetchFiles(ctx context.Context) error {
	left := a.cfg.MaxFiles
	if room := a.room(); room > 0 {
		left = min(left, room)
	}
	for i, file := range a.job.Files {
		got, err := a.fetchFile(ctx, file, left)
		if err != nil {
			return fileFault(err, i, file.Name)
		}
		left -= got.Size
		a.sources = append(a.sources, got)
	}
	return nil
}

func (a *attempt) fetchFile(ctx context.Context, file jobs.File, limit int64) (jobs.Source, error) {
	if file.Name != filepath.Base(file.Name) || !filepath.IsLocal(file.Name) || file.Name == "." ||
		len(file.Name) > maxName || strings.ContainsRune(file.Name, 0) {
		return jobs.Source{}, fmt.Errorf("%q is not the name of a file", file.Name)
	}
	f, err := os.OpenFile(filepath.Join(a.dir, "inputs", file.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
	got, err := a.fetcher.fetch(ctx, src, fileSink{f})
	if closed := f.Close(); err == nil && closed != nil {
		err = &local{closed}
	}
	got.Name = file.Name
	return got, err
}

// nameRefused reports whether the file system refuses a name: another file of the
// job has it, or one that differs in upper and lower case alone, or it is too
// long or has characters that are not allowed.
func nameRefused(err error) bool {
	for _, refused := range []error{unix.EEXIST, unix.ENAMETOOLONG, unix.EINVAL, unix.EILSEQ} {
		if errors.Is(err, refused) {
			return true
		}
	}
	return false
}

func fileFault(err error, i int, name string) error {
	var here *local
	if errors.As(err, &here) {
		return nodeFault("an input file cannot be stored", err)
	}
	return &fault{
		outcome: jobs.OutcomeInput,
		message: fmt.Sprintf("the file %s cannot be had: %s", name, err),
		pointer: "/files/" + strconv.Itoa(i) + "/url",
		awaits:  passingFault(err),
	}
}

// fileSink writes what is fetched into a file.
type fileSink struct{ *os.File }

func (f fileSink) reset() error {
	_, err := f.Seek(0, io.SeekStart)
	return errors.Join(err, f.Truncate(0))
}
