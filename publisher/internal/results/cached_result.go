package results

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/publisher/internal/fastpath"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxCached is the size in bytes of the largest result kept in memory. Larger ones are
// thus in the store.
const maxCached = results.Max

// stored is the result of a succeeded job.
type stored struct {
	id       string
	blob     *httpio.CachedResponse // nil where the result is too large to be kept
	size     int64
	etag     string
	modified time.Time

	mu    sync.Mutex
	index *index // read when it is asked for first

	prepared fastpath.Prepared
}

func (s *stored) cost() int64 {
	if s.blob == nil {
		return 1024
	}
	return s.blob.Size()
}

func (s *stored) read(document published.Document, cacheControl string) error {
	body := document.Bytes
	if body == nil {
		body = make([]byte, document.Size)
		if _, err := io.ReadFull(document, body); err != nil {
			return fmt.Errorf("result %s: %w", s.id, err)
		}
	}
	s.blob = httpio.NewCachedResponse(body, s.modified, httpio.TypeJSON, cacheControl, "")
	s.etag = s.blob.ETag()
	return nil
}

func (s *stored) digest(r io.Reader) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return fmt.Errorf("result %s: %w", s.id, err)
	}
	s.etag = `"` + hex.EncodeToString(sum.Sum(nil)[:16]) + `"`
	return nil
}
