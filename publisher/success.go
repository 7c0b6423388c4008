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
)

// readSuccess makes the document of a success: the stored bytes, or, where
// they are too large to hold, the record without the result.
func (p *Publisher) readSuccess(ctx context.Context, d *document, rec ledger.Record) error {
	s, err := p.stored(ctx, rec.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", errMissing, rec.ID)
	}
	if err != nil {
		return err
	}
	if s.blob == nil {
		err = d.render(summaryOf(rec))
	}
	d.take(s)
	return err
}

func summaryOf(rec ledger.Record) jobs.Result { return summary(rec, rec.Finished) }

// readOrphan looks for the result of a job that the ledger does not know, as
// after it was restored from an older copy. It returns err where there is none.
func (p *Publisher) readOrphan(ctx context.Context, d *document, err error) error {
	if !errors.Is(err, ledger.ErrUnknown) {
		return err
	}
	s, missing := p.stored(ctx, d.id)
	if missing != nil {
		return err
	}
	if s.blob == nil {
		_ = d.render(jobs.Result{ID: d.id, State: jobs.Succeeded, Timestamp: s.modified})
	}
	d.take(s)
	return nil
}

// take makes d the document of the stored success s.
func (d *document) take(s *stored) {
	d.state, d.stored = jobs.Succeeded, s
	d.version = strings.Trim(s.etag, `"`)
	if s.blob != nil {
		d.body = oneLine(s.blob.plain.body)
	}
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

// decoded is the document as a value, for a page.
func (d *document) decoded() (jobs.Result, error) {
	if d.stored == nil || d.stored.blob == nil {
		return d.result, nil
	}
	var r jobs.Result
	err := json.Unmarshal(d.body, &r)
	return r, err
}
