// Package batchtar reads the tar of a batch: batch.json and its files. Nothing of it is unpacked
// to names on a disk.
package batchtar

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// Document is the name of the entry that describes the batch.
const Document = "batch.json"

const (
	// MaxFile is the size of the largest file in a tar, in bytes. A job takes no larger one.
	MaxFile = 10 << 30
	// MaxTar is the size of the largest tar, in bytes.
	MaxTar = 64 << 30
	// maxEntries bounds the entries of a tar, folders included.
	maxEntries = 2 * jobs.MaxPackage
	// block is the size of what a tar is made of, in bytes.
	block = 512
)

// Refused is the error of a tar that is not taken.
type Refused struct {
	Entry  string // "" for the tar as a whole
	Reason string
}

func (r *Refused) Error() string {
	if r.Entry == "" {
		return "the tar " + r.Reason
	}
	return fmt.Sprintf("the tar is refused: its entry %s %s", jsondoc.Excerpt(r.Entry), r.Reason)
}

// Package is what was read of a tar.
type Package struct {
	// Batch is the text of batch.json, at most [jobs.MaxDocument] bytes.
	Batch []byte
	// Files are the SHA-256 digests of the other files, by name.
	Files map[string]string
}

// Read reads a tar to its end. It calls keep with each file but batch.json, in order; keep reads
// all of the file and returns its SHA-256 digest. The error is a *[Refused], that of keep, or that
// of r. Read ends with ctx.
func Read(ctx context.Context, r io.Reader, keep func(name string, size int64, r io.Reader) (digest string, err error)) (Package, error) {
	in := &counter{ctx: ctx, from: r}
	t := reader{tar: tar.NewReader(in), in: in, keep: keep, seen: map[string]bool{}, found: Package{Files: map[string]string{}}}
	for {
		header, err := t.tar.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Package{}, in.reason(err)
		}
		if err := t.entry(header); err != nil {
			return Package{}, err
		}
	}
	if in.n < t.end+block { // there is no mark of its end
		return Package{}, &Refused{Reason: "is cut off: it has no end"}
	}
	if t.found.Batch == nil {
		return Package{}, &Refused{Reason: "has no " + Document}
	}
	_, err := io.Copy(io.Discard, in)
	return t.found, err
}

// reader reads one tar.
type reader struct {
	tar     *tar.Reader
	in      *counter
	keep    func(name string, size int64, r io.Reader) (string, error)
	seen    map[string]bool
	entries int
	end     int64 // of the last entry, in the tar
	found   Package
}

// entry reads an entry.
func (t *reader) entry(h *tar.Header) error {
	if t.entries++; t.entries > maxEntries {
		return &Refused{Reason: fmt.Sprintf("has more than %d entries", maxEntries)}
	}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader: // as of git archive
		t.end = t.in.n
		return nil
	case tar.TypeDir:
		if name := strings.TrimSuffix(trim(h.Name), "/"); name != "" && name != "." {
			if why := inputurl.BadName(name); why != "" {
				return &Refused{h.Name, why}
			}
		}
		t.end = t.in.n
		return nil
	}
	if err := t.file(h); err != nil {
		return err
	}
	t.end = t.in.n + (block-h.Size%block)%block
	return nil
}

// file reads a file.
func (t *reader) file(h *tar.Header) error {
	name := trim(h.Name)
	why := inputurl.BadName(name)
	switch {
	case h.Typeflag != tar.TypeReg:
		why = "is " + kind(h.Typeflag) + ": only files and folders may be in it"
	case why != "":
	case sparse(h):
		why = "is a sparse file: write it whole"
	case t.seen[name]:
		why = "is there twice"
	case h.Size > MaxFile:
		why = fmt.Sprintf("has %d bytes, and a file at most %s", h.Size, bytesize.Size(MaxFile))
	case name == Document && h.Size > jobs.MaxDocument:
		why = fmt.Sprintf("has %d bytes, and it may have at most %d", h.Size, jobs.MaxDocument)
	case len(t.found.Files) == jobs.MaxPackage:
		why = fmt.Sprintf("is one more than the %d files that a batch may have", jobs.MaxPackage)
	}
	if why != "" {
		return &Refused{h.Name, why}
	}
	t.seen[name] = true
	if name == Document {
		text, err := io.ReadAll(t.tar)
		t.found.Batch = text
		return t.in.reason(err)
	}
	digest, err := t.keep(name, h.Size, t.tar)
	if err != nil {
		return t.in.reason(err)
	}
	t.found.Files[name] = digest
	return nil
}

// trim removes what tar puts before names in the folder from which it was called.
func trim(name string) string {
	for strings.HasPrefix(name, "./") {
		name = name[2:]
	}
	return name
}

// sparse reports whether an entry is larger than its content.
func sparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// kind names what an entry is.
func kind(flag byte) string {
	switch flag {
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a named pipe"
	case tar.TypeGNUSparse:
		return "a sparse file"
	}
	return "of an unknown kind"
}

// counter counts and bounds what is read of a tar.
type counter struct {
	ctx    context.Context
	from   io.Reader
	n      int64
	failed error // of from
}

func (c *counter) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		c.failed = context.Cause(c.ctx)
		return 0, c.failed
	}
	if c.n >= MaxTar {
		c.failed = &Refused{Reason: "is larger than " + bytesize.Size(MaxTar).String()}
		return 0, c.failed
	}
	n, err := c.from.Read(p[:min(int64(len(p)), MaxTar-c.n)])
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.failed = err
	}
	return n, err
}

// reason returns the error of the source if there is one, and else what is wrong with the tar.
func (c *counter) reason(err error) error {
	switch {
	case err == nil:
		return nil
	case c.failed != nil:
		return c.failed
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Refused{Reason: "is cut off"}
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong):
		return &Refused{Reason: "is not a tar: a header in it cannot be read"}
	}
	return err
}
