package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// maxEvent is the size in bytes of the largest result that an event carries.
// One that is larger is left out: the client has its URL.
const maxEvent = 256 << 10

// readSuccess makes the document of a success: the stored bytes, or, where
// they are large, the record without the result.
func (docs *Documents) readSuccess(ctx context.Context, d *document, rec ledger.Record) error {
	s, err := docs.stored(ctx, rec.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", httpio.ErrMissing, rec.ID)
	}
	if err != nil {
		return err
	}
	return d.take(s, readmodel.Summary(rec, rec.Finished))
}

// readOrphan looks for the result of a job that the ledger does not know, as
// after it was restored from an older copy. It returns err where there is none.
func (docs *Documents) readOrphan(ctx context.Context, d *document, err error) error {
	if !errors.Is(err, ledger.ErrUnknown) {
		return err
	}
	s, missing := docs.stored(ctx, d.id)
	if missing != nil {
		return err
	}
	return d.take(s, jobs.Result{ID: d.id, State: jobs.Succeeded, Timestamp: s.modified})
}

// take makes d the document of the stored success s, short being what to say
// where that is large.
func (d *document) take(s *stored, short jobs.Result) error {
	if err := d.render(short); err != nil {
		return err
	}
	d.stored, d.version = s, strings.Trim(s.etag, `"`)
	if s.blob != nil && len(s.blob.Body()) <= maxEvent {
		d.body = oneLine(s.blob.Body())
	}
	return nil
}

// oneLine compacts JSON that has line breaks, which an event cannot carry.
func oneLine(body []byte) []byte {
	if !bytes.ContainsAny(body, "\r\n") {
		return body
	}
	var b bytes.Buffer
	if err := json.Compact(&b, body); err != nil {
		return []byte("null")
	}
	return b.Bytes()
}

// whole is the document with its result, unless that is too large for memory.
func (d *document) whole() (jobs.Result, []byte, error) {
	if d.stored == nil || d.stored.blob == nil {
		return d.result, d.body, nil
	}
	var r jobs.Result
	body := d.stored.blob.Body()
	err := json.Unmarshal(body, &r)
	return r, body, err
}
