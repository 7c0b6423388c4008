// Package upload submits a batch with its files, from a tar. It sends only what the nodes do not
// have.
package upload

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/batchtar"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// sendTries is how often files are sent that the nodes do not have: some may be removed meanwhile.
const sendTries = 3

const batches = "/api/v1/batches"

// IsTar reports whether a file begins as a tar does.
func IsTar(name string) bool {
	if path.Ext(name) == ".tar" {
		return true
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	header := make([]byte, 512)
	_, err = io.ReadFull(f, header)
	return err == nil && string(header[257:262]) == "ustar"
}

// Submit submits the batch in a tar and returns what the node answers. It names the files by their
// digests first, and sends those that the node misses. progress shows how much was sent, if it is a
// terminal.
func Submit(ctx context.Context, c *apiclient.Client, name string, progress io.Writer) (answer jobs.Result, err error) {
	f, err := os.Open(name)
	if err != nil {
		return answer, err
	}
	defer f.Close()
	batch, err := describe(ctx, f)
	if err != nil {
		return answer, fmt.Errorf("%s: %w", name, err)
	}
	err = c.Post(ctx, batches, batch, &answer)
	for range sendTries {
		var problem *jobs.Problem
		if !errors.As(err, &problem) || len(problem.Missing) == 0 {
			break
		}
		err = send(ctx, c, f, batch, problem.Missing, progress, &answer)
	}
	return answer, err
}

// describe returns the batch in a tar with the digests of its files. It has an id, so that it is
// one batch although it may be sent more than once.
func describe(ctx context.Context, f *os.File) ([]byte, error) {
	found, err := batchtar.Read(ctx, bufio.NewReaderSize(f, 1<<20), func(_ string, _ int64, r io.Reader) (string, error) {
		sum := sha256.New()
		_, err := io.Copy(sum, r)
		return hex.EncodeToString(sum.Sum(nil)), err
	})
	if err != nil {
		return nil, err
	}
	whole, err := found.Whole()
	if err != nil {
		return nil, err
	}
	members := map[string]jsontext.Value{}
	if err := json.Unmarshal(whole, &members); err != nil {
		return nil, err
	}
	if id := members["id"]; id == nil || id.Kind() == 'n' {
		members["id"] = jsontext.Value(`"` + jobs.NewID() + `"`)
	}
	if whole, err = json.Marshal(members, json.Deterministic(true)); err != nil {
		return nil, err
	}
	_, err = jobdoc.BatchDocument(whole)
	return whole, err
}

// send sends a batch with the files of the tar f whose digests are missing.
func send(ctx context.Context, c *apiclient.Client, f *os.File, batch []byte, missing []string, progress io.Writer, answer *jobs.Result) error {
	digests := map[string]bool{}
	for _, digest := range missing {
		digests[digest] = true
	}
	var named struct {
		Package map[string]string `json:"package"`
	}
	if err := json.Unmarshal(batch, &named); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	bar := terminal.NewCountBar(progress, "KiB read", int(info.Size()>>10))
	defer bar.End()
	out, in := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		w := writer{tar: tar.NewWriter(in), files: named.Package, missing: digests, bar: bar}
		in.CloseWithError(w.write(ctx, f, batch))
	}()
	err = c.PostTar(ctx, batches, out, answer)
	out.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	<-written
	return err
}

// writer writes the tar that is sent.
type writer struct {
	tar     *tar.Writer
	files   map[string]string // digests by name
	missing map[string]bool   // digests that are still to be sent
	bar     terminal.CountBar
	read    int64 // bytes
}

func (w *writer) write(ctx context.Context, f *os.File, batch []byte) error {
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: batchtar.Document, Mode: 0o644, Size: int64(len(batch))}); err != nil {
		return err
	}
	if _, err := w.tar.Write(batch); err != nil {
		return err
	}
	_, err := batchtar.Read(ctx, io.TeeReader(f, w), w.file)
	if err != nil {
		return err
	}
	return w.tar.Close()
}

// Write counts what is read.
func (w *writer) Write(p []byte) (int, error) {
	before := w.read >> 20
	if w.read += int64(len(p)); w.read>>20 != before {
		w.bar.Set(int(w.read >> 10))
	}
	return len(p), nil
}

// file sends a file, if it is missing, once.
func (w *writer) file(name string, size int64, r io.Reader) (string, error) {
	digest := w.files[name]
	if !w.missing[digest] {
		_, err := io.Copy(io.Discard, r)
		return digest, err
	}
	delete(w.missing, digest)
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
		return "", err
	}
	_, err := io.Copy(w.tar, r)
	return digest, err
}
