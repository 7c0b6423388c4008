package results

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// carriedFiles adds the signed query of a result to the URLs of its files, and has them below
// the path at which the result was asked for: that of its job, or of a frame of a batch. URLs
// of other places stay as they are.
func carriedFiles(id, path string, files []jobs.Artifact, query string) []jobs.Artifact {
	if query == "" {
		return files
	}
	files = slices.Clone(files)
	for i, f := range files {
		before, name, found := strings.Cut(f.URL, "/"+id+"/files/")
		if found {
			files[i].URL = httpio.AddQuery(before+"/"+path+"/files/"+name, query)
		}
	}
	return files
}

// serveOpened answers a request with a signed URL.
func (hs *Handlers) serveOpened(c echo.Context, s *stored) error {
	found, err := hs.docs.files(c.Request().Context(), s)
	if err != nil {
		return err
	}
	if len(found.Artifacts) == 0 {
		return hs.serveStored(c.Response().Writer, c.Request(), s)
	}
	return hs.serveCarried(c, s, auth.SignedQuery(c))
}

// serveCarried answers with a result whose files are opened by the query that
// has opened it.
func (hs *Handlers) serveCarried(c echo.Context, s *stored, query string) error {
	w, r := c.Response().Writer, c.Request()
	source, err := hs.source(w, r, s)
	if err != nil {
		return err
	}
	defer source.Close()
	h, etag := w.Header(), strings.TrimSuffix(s.etag, `"`)+`-q"`
	h.Set("Cache-Control", hs.auth.ResultCacheControl())
	h.Set("ETag", etag)
	if h := r.Header; h["If-None-Match"] != nil && httpio.Matches(httpio.Field(h, "If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", httpio.TypeJSON)
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if err := copyCarried(httpio.RollingDeadline(w), source, s.id, pathOf(c, s.id), query); err != nil {
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
	return nil
}

func (hs *Handlers) source(w http.ResponseWriter, r *http.Request, s *stored) (io.ReadCloser, error) {
	if s.blob != nil {
		return io.NopCloser(bytes.NewReader(s.blob.Body())), nil
	}
	return hs.openRecorded(w, r, store.ResultKey(s.id), httpio.ErrMissing)
}

// copyCarried copies a result document of any size and puts the query to the
// URLs of its files.
func copyCarried(w io.Writer, r io.Reader, id, path, query string) error {
	d := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	e := jsontext.NewEncoder(w, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		token, err := d.ReadToken()
		if err == io.EOF { //nolint:errorlint // as the decoder returns it
			return nil
		}
		if err != nil {
			return err
		}
		files := d.StackDepth() == 1 && token.Kind() == '"' && token.String() == "artifacts" && isName(d)
		if err := e.WriteToken(token); err != nil {
			return err
		}
		if !files {
			continue
		}
		if err := copyFiles(e, d, id, path, query); err != nil {
			return err
		}
	}
}

// isName reports whether the string that was read last names a member.
func isName(d *jsontext.Decoder) bool {
	kind, read := d.StackIndex(d.StackDepth())
	return kind == '{' && read%2 == 1
}

func copyFiles(e *jsontext.Encoder, d *jsontext.Decoder, id, path, query string) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	var files []jobs.Artifact
	if err := json.Unmarshal(value, &files); err != nil {
		return e.WriteValue(value)
	}
	body, err := httpio.Marshal(carriedFiles(id, path, files, query))
	if err != nil {
		return err
	}
	return e.WriteValue(body)
}
