package results

import (
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// fileTypes are the types that a browser shows without running anything. A page
// is not among them; an SVG is shown as an image only, in which no script runs,
// and saved where it is opened. Those marked true are shown in place.
var fileTypes = map[string]struct {
	mime   string
	inline bool
}{
	".png":  {"image/png", true},
	".jpg":  {"image/jpeg", true},
	".jpeg": {"image/jpeg", true},
	".webp": {"image/webp", true},
	".gif":  {"image/gif", true},
	".avif": {"image/avif", true},
	".svg":  {"image/svg+xml", false},
	".txt":  {"text/plain; charset=utf-8", false},
	".log":  {"text/plain; charset=utf-8", false},
	".csv":  {"text/csv; charset=utf-8", false},
	".json": {httpio.TypeJSON, false},
	".pdf":  {"application/pdf", false},
	".mp4":  {"video/mp4", false},
	".webm": {"video/webm", false},
	".zip":  {"application/zip", false},
	".gz":   {"application/gzip", false},
}

// GetFile answers with a file that the program of a succeeded job has left, or,
// with ?attempt=N, an attempt that was no success.
func (hs *Handlers) GetFile(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(c.Request().URL.Path, "/files/")
	find := hs.artifact
	if _, of := c.QueryParams()["attempt"]; of {
		find = hs.leftFile
	}
	file, attempt, err := find(c, id, name)
	if err != nil {
		return err
	}
	object, err := hs.openRecorded(c.Response().Writer, c.Request(), store.FileKey(id, attempt, file.Name), httpio.ErrMissingFile)
	if err != nil {
		return err
	}
	defer object.Close()
	c.Response().Header().Set("Cache-Control", hs.auth.ResultCacheControl())
	fileHeader(c.Response().Header(), file)
	http.ServeContent(httpio.RollingDeadline(c.Response().Writer), c.Request(), "", object.ModTime, object)
	return nil
}

// artifacts returns what the result of a job says about its files.
func (hs *Handlers) artifacts(c echo.Context, id string) (index, error) {
	ctx := c.Request().Context()
	d := hs.docs.Read(ctx, id)
	if d.err != nil {
		return index{}, d.err
	}
	if d.stored == nil {
		return index{}, httpio.Problem(http.StatusNotFound, "the job has no files; its state is "+string(d.state))
	}
	return hs.docs.files(ctx, d.stored)
}

// artifact finds a file in the result document; what that does not name is not served.
func (hs *Handlers) artifact(c echo.Context, id, name string) (jobs.Artifact, int, error) {
	found, err := hs.artifacts(c, id)
	if err != nil {
		return jobs.Artifact{}, 0, err
	}
	for _, file := range found.Artifacts {
		if file.Name == name {
			return file, found.Attempt, nil
		}
	}
	return jobs.Artifact{}, 0, httpio.Problem(http.StatusNotFound, "the result names no such file")
}

// leftFile finds a file in the list of files that an attempt has left.
func (hs *Handlers) leftFile(c echo.Context, id, name string) (jobs.Artifact, int, error) {
	values := c.QueryParams()["attempt"]
	attempt, err := strconv.Atoi(values[0])
	if err != nil || len(values) > 1 || attempt < 1 || attempt > 1<<31-1 {
		return jobs.Artifact{}, 0, httpio.BadParameter("attempt", "is a number from 1, once")
	}
	left, err := hs.docs.jobs.Output(c.Request().Context(), id, attempt)
	if err != nil {
		return jobs.Artifact{}, 0, err
	}
	for _, file := range left.Artifacts {
		if file.Name == name {
			return file, attempt, nil
		}
	}
	return jobs.Artifact{}, 0, httpio.Problem(http.StatusNotFound, fmt.Sprintf("of attempt %d no such file is kept", attempt))
}

func fileHeader(h http.Header, file jobs.Artifact) {
	kind, known := fileTypes[strings.ToLower(path.Ext(file.Name))]
	if !known {
		kind.mime = "application/octet-stream"
	}
	disposition := "attachment"
	if kind.inline {
		disposition = "inline"
	}
	h.Set("Content-Type", kind.mime)
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": path.Base(file.Name)}))
	h.Set("Content-Security-Policy", httpio.SandboxPolicy)
	if isHex(file.SHA256) {
		h.Set("ETag", `"`+file.SHA256+`"`)
	}
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}
