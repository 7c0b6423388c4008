package results

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// bundlePage is how many frames are read at once for a tar.
const bundlePage = 256

// GetBundleTar answers with the files of all frames of a batch as one tar, once all of them have
// ended. It is the same each time. It has no length, because only the documents of all frames
// tell that. Where it cannot be finished the connection is cut, and the tar has no end.
func (hs *Handlers) GetBundleTar(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := hs.docs.batchEnded(ctx, id); err != nil {
		return err
	}
	_, last, _, err := hs.docs.ledger.Batches.Bounds(ctx, id)
	if err != nil {
		return err
	}
	sending, err := hs.reserve(c.Request())
	if err != nil {
		return err
	}
	defer sending.Close()
	sending.yield(c.Response().Writer)
	bundle := bundleTar{docs: hs.docs, frames: frameFiles{docs: hs.docs, batch: id}, digits: len(strconv.Itoa(last)), sending: sending}
	if err := bundle.first(ctx); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	h.Set("Content-Type", "application/x-tar")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": id + ".tar"}))
	httpio.ExtendDeadline(c.Response().Writer, httpio.WriteTimeout)
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	if err := bundle.write(ctx, httpio.RollingDeadline(c.Response().Writer)); err != nil {
		if ctx.Err() == nil && !sending.cut.Load() {
			hs.log.Warn("could not send the files of a batch to their end", "batch", id, slog.Int("frame", bundle.frame.Number), "err", err)
		}
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
	return nil
}

// batchEnded returns a problem for a job that is no batch, and for a batch of which something
// has not ended.
func (docs *Documents) batchEnded(ctx context.Context, id string) error {
	rec, err := docs.ledger.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case rec.Program != jobs.BatchProgram:
		return httpio.Problem(http.StatusNotFound, "the job is no batch; files.tar has its files")
	case !rec.State.Final():
		return httpio.Problem(http.StatusConflict, "the batch has not ended: it is "+string(rec.State)+"; wait for that")
	}
	states, err := docs.ledger.Batches.States(ctx, id)
	if err != nil {
		return err
	}
	open := 0
	for state, n := range states {
		if !state.Final() {
			open += n
		}
	}
	if open > 0 {
		return httpio.Problem(http.StatusConflict, "the batch has not ended: "+text.Plural(open, "frame")+" of it can still change; wait for that")
	}
	return nil
}

// bundleTar writes the files of frames as a tar.
type bundleTar struct {
	docs    *Documents
	frames  frameFiles
	digits  int // of the largest number
	sending *object

	frame batches.Frame
	found index // of the frame, which has files
}

// first finds the first frame with files, and opens its first file. So what is missing there
// has an answer of its own.
func (b *bundleTar) first(ctx context.Context) error {
	err := b.next(ctx)
	if errors.Is(err, io.EOF) {
		return httpio.Problem(http.StatusNotFound, "no frame of the batch has left files")
	}
	if err != nil {
		return err
	}
	return b.open(ctx, 0)
}

// next goes to the next frame with files. After the last it returns io.EOF.
func (b *bundleTar) next(ctx context.Context) (err error) {
	for {
		if b.sending.cut.Load() {
			return errFiles
		}
		b.frame, b.found, err = b.frames.next(ctx)
		if err != nil || len(b.found.Artifacts) > 0 {
			return err
		}
	}
}

// open opens a file of the frame in place of the one before.
func (b *bundleTar) open(ctx context.Context, i int) error {
	key := artifactKey(b.frame.Job, b.found, i)
	next, err := b.docs.store.Open(ctx, key)
	if err != nil {
		return orMissing(err, key, httpio.ErrMissingFile)
	}
	if b.sending.Object != nil {
		b.sending.Object.Close()
	}
	b.sending.Object = next
	return nil
}

// write writes the tar, from the file on that first has opened.
func (b *bundleTar) write(ctx context.Context, to io.Writer) error {
	w := tar.NewWriter(to)
	for opened := true; ; opened = false {
		for i := range b.found.Artifacts {
			if !opened || i > 0 {
				if err := b.open(ctx, i); err != nil {
					return err
				}
			}
			h := tarHeader(b.found, i)
			h.Name = fmt.Sprintf("%0*d/%s", b.digits, b.frame.Number, h.Name)
			if err := w.WriteHeader(h); err != nil {
				return err
			}
			if _, err := io.Copy(w, b.sending); err != nil {
				return err
			}
		}
		err := b.next(ctx)
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return err
		}
	}
}

// frameFiles reads what the results of the frames of a batch say about their files, by number. It
// holds one page of frames and one index. The results do not come into the memory of results,
// from which they would drive out all others.
type frameFiles struct {
	docs  *Documents
	batch string
	page  []batches.Frame
	from  int
	end   bool // there is no page after this one
}

// next returns the next frame that has succeeded. After the last it returns io.EOF.
func (f *frameFiles) next(ctx context.Context) (frame batches.Frame, found index, err error) {
	if len(f.page) == 0 && !f.end {
		if f.page, err = f.docs.ledger.Batches.List(ctx, f.batch, jobs.Succeeded, f.from, jobs.MaxFrame, bundlePage); err != nil {
			return frame, found, err
		}
		if f.end = len(f.page) < bundlePage; !f.end {
			last := f.page[len(f.page)-1].Number
			f.end = last == jobs.MaxFrame
			f.from = last + 1
		}
	}
	if len(f.page) == 0 {
		return frame, found, io.EOF
	}
	frame, f.page = f.page[0], f.page[1:]
	document, err := f.docs.published.Open(ctx, frame.Job)
	if err != nil {
		return frame, found, orMissing(err, store.ResultKey(frame.Job), httpio.ErrMissing)
	}
	defer document.Close()
	found, err = decodeIndex(document)
	return frame, found, err
}
