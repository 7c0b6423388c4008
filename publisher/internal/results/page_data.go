package results

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// pageTail is how many bytes of a log are read for a page. Far fewer may be shown,
// where a program overwrites its progress again and again.
const pageTail = 64 << 10

// servePage answers with the page about the result of a job.
func (hs *Handlers) servePage(c echo.Context, d *document) error {
	data, err := hs.docs.pageData(c.Request().Context(), d)
	if err != nil {
		return err
	}
	if data.Attempts, err = hs.docs.attempts(c.Request().Context(), data.Result); err != nil {
		return err
	}
	data.SetLinks(linksPath(c), auth.SignedQuery(c))
	return hs.sendPage(c, data)
}

// PageResult returns what a page shows of the result of a job.
func (docs *Documents) PageResult(ctx context.Context, id string) (jobview.Data, error) {
	d := docs.Read(ctx, id)
	if d.err != nil {
		return jobview.Data{}, d.err
	}
	return docs.pageData(ctx, d)
}

// pageData returns what a page shows of a document.
func (docs *Documents) pageData(ctx context.Context, d *document) (data jobview.Data, err error) {
	if data.Result, data.ResultJSON, err = d.whole(); err != nil {
		return data, err
	}
	if data.LogTail, err = docs.logTail(ctx, data.Result); err != nil {
		return data, err
	}
	data.Large, err = docs.addLarge(ctx, d, &data.Result)
	return data, err
}

// addLarge adds the files to a result that is too large for memory. It returns the
// size of such a result in bytes, and 0 for others.
func (docs *Documents) addLarge(ctx context.Context, d *document, r *jobs.Result) (int64, error) {
	if d.stored == nil || d.stored.blob != nil {
		return 0, nil
	}
	found, err := docs.files(ctx, d.stored)
	r.Artifacts, r.LeftOut = found.Artifacts, found.LeftOut
	return d.stored.size, err
}

// logTail returns the end of the newest attempt's log. It is empty without a log.
func (docs *Documents) logTail(ctx context.Context, r jobs.Result) ([]byte, error) {
	if r.Attempt == 0 {
		return nil, nil
	}
	running, found, err := docs.runningLog(ctx, r.ID, logQuery{attempt: r.Attempt, from: -1, tail: pageTail})
	if found || err != nil {
		return running.text, err
	}
	object, err := docs.store.Open(ctx, store.LogKey(r.ID, r.Attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer object.Close()
	if object.Size <= pageTail {
		return io.ReadAll(io.LimitReader(object, pageTail))
	}
	if _, err := object.Seek(-pageTail, io.SeekEnd); err != nil {
		return nil, err
	}
	tail, err := io.ReadAll(io.LimitReader(object, pageTail))
	return logtext.Tail(tail), err
}

// attempts returns the attempts of a job that has had several, or has left files
// without a success.
func (docs *Documents) attempts(ctx context.Context, r jobs.Result) ([]api.Attempt, error) {
	if r.Attempt == 0 || r.Attempt == 1 && (r.State == jobs.Succeeded || r.State == jobs.Running) {
		return nil, nil
	}
	found, err := docs.jobs.Attempts(ctx, r.ID)
	if len(found) == 1 && r.State.Final() && len(found[0].Artifacts)+len(found[0].LeftOut) == 0 {
		return nil, err
	}
	return found, err
}
