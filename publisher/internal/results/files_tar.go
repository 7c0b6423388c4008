package results

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// tarEnd is the length of the end of a tar, in bytes.
const tarEnd = 1024

// GetTar answers with all artifacts of a job as one tar. It is the same each time: the files
// are in the order of the result, and have the time at which the job ended.
func (hs *Handlers) GetTar(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	found, err := hs.artifacts(c, id)
	if err != nil {
		return err
	}
	if len(found.Artifacts) == 0 {
		return httpio.Problem(http.StatusNotFound, "the job has left no files")
	}
	size, err := tarSize(found)
	if err != nil {
		return err
	}
	h, tag := c.Response().Header(), tarTag(found)
	h.Set("Cache-Control", hs.auth.ResultCacheControl())
	h.Set("ETag", tag)
	if list := c.Request().Header["If-None-Match"]; list != nil && httpio.Matches(httpio.Field(c.Request().Header, "If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	first, err := hs.openRecorded(c.Response().Writer, c.Request(), artifactKey(id, found, 0), httpio.ErrMissingFile)
	if err != nil {
		h.Del("ETag")
		h.Del("Cache-Control")
		return err
	}
	defer func() { first.Close() }()
	h.Set("Content-Type", "application/x-tar")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": id + ".tar"}))
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	if err := hs.writeTar(c, id, found, first); err != nil {
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
	return nil
}

// writeTar writes the tar. sending is the first artifact; its place serves all others.
func (hs *Handlers) writeTar(c echo.Context, id string, found index, sending *object) error {
	w := tar.NewWriter(httpio.RollingDeadline(c.Response().Writer))
	for i := range found.Artifacts {
		if i > 0 {
			next, err := hs.docs.store.Open(c.Request().Context(), artifactKey(id, found, i))
			if err != nil {
				return err
			}
			sending.Object.Close()
			sending.Object = next
		}
		if err := w.WriteHeader(tarHeader(found, i)); err != nil {
			return err
		}
		if _, err := io.Copy(w, sending); err != nil {
			return err
		}
	}
	return w.Close()
}

func artifactKey(id string, found index, i int) string {
	return store.FileKey(id, found.Attempt, found.Artifacts[i].Name)
}

func tarHeader(found index, i int) *tar.Header {
	file := &found.Artifacts[i]
	return &tar.Header{Typeflag: tar.TypeReg, Name: file.Name, Size: file.Size, Mode: 0o644, ModTime: found.Finished.Truncate(time.Second)}
}

// tarSize returns the length of the tar in bytes.
func tarSize(found index) (size int64, err error) {
	for i := range found.Artifacts {
		var headers countingWriter // long names have a second one
		if err := tar.NewWriter(&headers).WriteHeader(tarHeader(found, i)); err != nil {
			return 0, fmt.Errorf("%s: %w", found.Artifacts[i].Name, err)
		}
		size += int64(headers) + (found.Artifacts[i].Size+511)&^511
	}
	return size + tarEnd, nil
}

type countingWriter int64

func (n *countingWriter) Write(b []byte) (int, error) {
	*n += countingWriter(len(b))
	return len(b), nil
}

// tarTag returns the entity tag of the tar, from the digests of the files.
func tarTag(found index) string {
	digest := sha256.New()
	fmt.Fprintln(digest, found.Finished.Unix())
	for _, file := range found.Artifacts {
		fmt.Fprintf(digest, "%q %d %s\n", file.Name, file.Size, file.SHA256)
	}
	return `"` + hex.EncodeToString(digest.Sum(nil)) + `"`
}
