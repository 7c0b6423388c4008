package results

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// fillTimeout bounds reading a result for the cache: the request that
	// asked first may be gone while others wait for the same bytes.
	fillTimeout = 30 * time.Second
)

// stored returns the result of id from the cache, the ledger or the store.
// [store.ErrNotExist].
func (docs *Documents) stored(ctx context.Context, id string) (*stored, error) {
	if s := docs.cache.get(id); s != nil {
		return s, nil
	}
	v, err, _ := docs.flight.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fillTimeout)
		defer cancel()
		return docs.load(ctx, id)
	})
	if err != nil {
		return nil, err
	}
	return v.(*stored), nil
}

func (docs *Documents) load(ctx context.Context, id string) (*stored, error) {
	document, err := docs.published.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer document.Close()
	s := &stored{id: id, size: document.Size, modified: document.ModTime.UTC()}
	if document.Size > maxCached {
		err = s.digest(document)
	} else {
		err = s.read(document, docs.cacheControl)
	}
	if err != nil {
		return nil, err
	}
	docs.cache.add(s)
	return s, docs.forgetDeleted(ctx, id)
}

// serveStored answers with a result, from memory or from the store.
func (hs *Handlers) serveStored(w http.ResponseWriter, r *http.Request, s *stored) error {
	if s.blob != nil {
		s.blob.Serve(w, r)
		return nil
	}
	object, err := hs.openRecorded(w, r, store.ResultKey(s.id), httpio.ErrMissing)
	if err != nil {
		return err
	}
	defer object.Close()
	h := w.Header()
	h.Set("Cache-Control", hs.auth.ResultCacheControl())
	h.Set("Content-Type", httpio.TypeJSON)
	if !httpio.NeedsServeContent(r.Header) && httpio.AcceptsGzip(httpio.Field(r.Header, "Accept-Encoding")) {
		return s.serveGzip(w, r, object)
	}
	h.Set("ETag", s.etag)
	http.ServeContent(httpio.RollingDeadline(w), r, "", s.modified, object)
	return nil
}

// serveGzip compresses a large result while it sends it. The entity tag is weak, because
// another release may compress differently.
func (s *stored) serveGzip(w http.ResponseWriter, r *http.Request, object io.Reader) error {
	h := w.Header()
	etag := `W/"` + s.etag[1:len(s.etag)-1] + `-gz"`
	h.Set("ETag", etag)
	h.Set("Last-Modified", s.modified.Format(http.TimeFormat))
	if s.fresh(r.Header, etag) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	z, err := gzip.NewWriterLevel(httpio.RollingDeadline(w), gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	if _, err := io.Copy(z, object); err != nil {
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
	return z.Close()
}

func (s *stored) fresh(h http.Header, etag string) bool {
	if h["If-None-Match"] != nil {
		list := httpio.Field(h, "If-None-Match")
		return httpio.Matches(list, etag) || httpio.Matches(list, s.etag)
	}
	since := h.Get("If-Modified-Since")
	return since != "" && !httpio.ModifiedSince(s.modified, "", since)
}

// files returns what the result document says about its files. It reads that once.
func (docs *Documents) files(ctx context.Context, s *stored) (index, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index != nil {
		return *s.index, nil
	}
	found, err := docs.readIndex(ctx, s)
	if err == nil {
		s.index = &found
	}
	return found, err
}

func (docs *Documents) readIndex(ctx context.Context, s *stored) (index, error) {
	var found index
	if s.blob != nil {
		err := json.Unmarshal(s.blob.Body(), &found)
		return found, err
	}
	object, err := docs.store.Open(ctx, store.ResultKey(s.id))
	if err != nil {
		return found, orMissing(err, store.ResultKey(s.id), httpio.ErrMissing)
	}
	defer object.Close()
	return decodeIndex(object)
}
