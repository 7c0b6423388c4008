package results

import (
	"net/http"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/fastpath"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// ServeCached answers requests for results in memory, and reports whether it did. It is
// called before the router, since most requests are of this kind.
func (hs *Handlers) ServeCached(w http.ResponseWriter, r *http.Request) bool {
	if !hs.auth.OpenResults() || r.URL.RawQuery != "" || r.URL.RawPath != "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	s := hs.docs.cache.get(resultID(r.URL.Path))
	if s == nil || s.blob == nil || httpio.WantsPage(r) {
		return false
	}
	auth.AllowAnyOrigin(w.Header(), r)
	w.Header()["Vary"] = hs.auth.ResultVary(r)
	s.blob.Serve(w, r)
	return true
}

// FastAnswer returns the answer of serveCached to a request that the fast path has read.
func (hs *Handlers) FastAnswer(r *fastpath.Request) fastpath.Answer {
	s := hs.docs.cache.find(r.ID)
	if s == nil || s.blob == nil {
		return fastpath.Answer{}
	}
	return s.prepared.Answer(r, s.blob, hs.ServeCached)
}

// resultID returns the part of a path that may be an id, or "". The cache knows ids only,
// and paths in another spelling go to the router.
func resultID(path string) string {
	const folder = "/results/"
	switch len(path) {
	case 1 + 36:
		return path[1:]
	case len(folder) + 36:
		if path[:len(folder)] == folder {
			return path[len(folder):]
		}
	}
	return ""
}
