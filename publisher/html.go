package publisher

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

const (
	typeHTML = "text/html; charset=utf-8"
	// pageTail is how many bytes of a log are read for a page. What is shown of
	// them may be far less, where a progress is written over again and again.
	pageTail = 64 << 10
)

// servePage answers for a job with a page for a person.
func (p *Publisher) servePage(c echo.Context, d *document) error {
	r, body, err := d.whole()
	if err != nil {
		return err
	}
	tail, err := p.logTail(c.Request().Context(), r)
	if err != nil {
		return err
	}
	attempts, err := p.attempts(c.Request().Context(), r)
	if err != nil {
		return err
	}
	data := jobview.Data{Result: r, ResultJSON: body, LogTail: tail, Attempts: attempts, BaseURL: p.pageBase()}
	data.SetLinks(strings.TrimSuffix(c.Request().URL.Path, "/"), auth.SignedQuery(c))
	if data.Large, err = p.addLarge(c.Request().Context(), d, &data.Result); err != nil {
		return err
	}
	var page bytes.Buffer
	err = renderPage(&page, data)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if !d.final() {
		status = http.StatusAccepted
	}
	return sendPage(c, status, page.Bytes())
}

// addLarge adds the files of a result that is too large for memory, and returns
// its size.
func (p *Publisher) addLarge(ctx context.Context, d *document, r *jobs.Result) (int64, error) {
	if d.stored == nil || d.stored.blob != nil {
		return 0, nil
	}
	found, err := p.files(ctx, d.stored)
	r.Artifacts, r.LeftOut = found.Artifacts, found.LeftOut
	return d.stored.size, err
}

func sendPage(c echo.Context, status int, page []byte) error {
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin")
	return c.Blob(status, typeHTML, page)
}

func (p *Publisher) pageBase() string { return httpio.PageBase(p.cfg.BaseURL) }

// logTail is the end of the newest attempt's log; no log is an empty one.
func (p *Publisher) logTail(ctx context.Context, r jobs.Result) ([]byte, error) {
	if r.Attempt == 0 {
		return nil, nil
	}
	object, err := p.cfg.Store.Open(ctx, store.LogKey(r.ID, r.Attempt))
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

// attempts are those of a job that has had one before its newest, or files of
// one that was no success.
func (p *Publisher) attempts(ctx context.Context, r jobs.Result) ([]api.Attempt, error) {
	if r.Attempt == 0 || r.Attempt == 1 && (r.State == jobs.Succeeded || r.State == jobs.Running) {
		return nil, nil
	}
	found, err := p.attemptsWhole(ctx, r.ID)
	if len(found) == 1 && r.State.Final() && len(found[0].Artifacts)+len(found[0].LeftOut) == 0 {
		return nil, err
	}
	return found, err
}

// sendDashboard answers with a page of the dashboard that is for this reader at
// this moment only.
func sendDashboard(c echo.Context, status int, name string, view any) error {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, view); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "same-origin")
	return c.Blob(status, typeHTML, page.Bytes())
}
