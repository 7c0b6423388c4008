package results

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// errFiles says that no more files can be sent at one time.
var errFiles = httpio.Unavailable("too many files are being read at this node now")

// object is one of the store that is sent as slowly as its client reads.
type object struct {
	*store.Object
	sending *admission.Limiter
	place   admission.Place
	cut     atomic.Bool
}

// open opens an object to be sent as the answer to r; the caller closes it.
// [store.ErrNotExist], errFiles.
func (hs *Handlers) open(w http.ResponseWriter, r *http.Request, key string) (*object, error) {
	o, err := hs.reserve(r)
	if err != nil {
		return nil, err
	}
	if o.Object, err = hs.docs.store.Open(r.Context(), key); err != nil {
		o.sending.Release(&o.place)
		return nil, err
	}
	o.yield(w)
	return o, nil
}

// reserve takes a place to send objects as the answer to r; the caller closes it. errFiles.
func (hs *Handlers) reserve(r *http.Request) (*object, error) {
	o := &object{sending: hs.sending}
	o.place.From = hs.proxies.Network(r)
	if !o.sending.Take(&o.place) {
		return nil, errFiles
	}
	return o, nil
}

// yield lets another client take the place. What is written to w then fails.
func (o *object) yield(w http.ResponseWriter) {
	o.sending.SetEvict(&o.place, func() {
		o.cut.Store(true)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now())
	}, nil)
}

// openRecorded is open for an object that is recorded to be there: else it is
// missing.
func (hs *Handlers) openRecorded(w http.ResponseWriter, r *http.Request, key string, missing error) (*object, error) {
	o, err := hs.open(w, r, key)
	return o, orMissing(err, key, missing)
}

// orMissing is err, or missing where that says that there is no such object.
func orMissing(err error, key string, missing error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", missing, key)
	}
	return err
}

// Read fails once another client needs the place.
func (o *object) Read(b []byte) (int, error) {
	if o.cut.Load() {
		return 0, context.Canceled
	}
	return o.Object.Read(b)
}

// Close gives the place back and closes the object, if there is one.
func (o *object) Close() error {
	o.sending.Release(&o.place)
	if o.Object == nil {
		return nil
	}
	return o.Object.Close()
}
