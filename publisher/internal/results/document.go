package results

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// document is a job as its result URL answers for it at one moment. It is
// shared between everybody who asks and must not be changed.
type document struct {
	id     string
	state  jobs.State // empty where the job is unknown
	result jobs.Result
	body   []byte // compact JSON; for a success without a result that is large
	// version tells documents of one job apart, whatever the time they were made.
	version string
	stored  *stored // of a success
	err     error   // why there is no document

	// Each is made when it is asked for first.
	once, sharedOnce sync.Once
	event, shared    *live.Message
}

// ID, State, Version, Failed, Message and SharedMessage make document a [live.Document].
func (d *document) ID() string { return d.id }

// State returns "" for an unknown job.
func (d *document) State() jobs.State { return d.state }

// Version returns a hash of what the document says.
func (d *document) Version() string { return d.version }

// Failed reports whether the document could not be read; an unknown job is no failure.
func (d *document) Failed() bool { return d.err != nil && !isUnknown(d.err) }

// Message returns the document as an event, made once for all streams, or nil if
// there is no document.
func (d *document) Message() *live.Message {
	if d.err != nil {
		return nil
	}
	d.once.Do(func() {
		d.event = live.Event("state", d.version, d.body, "state")
		if d.final() {
			d.event.Last()
		}
	})
	return d.event
}

// SharedMessage returns the document, or why there is none, as an event of a stream
// with other jobs. It has no id, because a stream of many jobs has no one version.
func (d *document) SharedMessage() *live.Message {
	d.sharedOnce.Do(func() {
		if d.err != nil {
			d.shared = refused(d.id, d.err)
		} else {
			d.shared = live.Event("state", "", d.body, "state "+d.id)
		}
	})
	return d.shared
}

func (d *document) final() bool { return d.state.Final() }

// renderedZero is the zero time in a document, in the place that render fills.
var renderedZero = []byte(`"timestamp":"0001-01-01T00:00:00Z"`)

// render marshals r. The version is that of the document without its time,
// except for an end, the time of which is part of it.
func (d *document) render(r jobs.Result) error {
	d.state, d.result = r.State, r
	made := r.Timestamp
	if !d.final() {
		r.Timestamp = time.Time{}
	}
	body, err := httpio.Marshal(r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	d.version = hex.EncodeToString(sum[:16])
	if !d.final() {
		stamp := append(made.AppendFormat([]byte(`"timestamp":"`), time.RFC3339Nano), '"')
		body = bytes.Replace(body, renderedZero, stamp, 1)
	}
	d.body = body
	return nil
}

// maxEvent is the size in bytes of the largest result that an event carries.
// One that is larger is left out: the client has its URL.
const maxEvent = 256 << 10

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

// whole returns the document with its result, unless that is too large for memory.
func (d *document) whole() (jobs.Result, []byte, error) {
	if d.stored == nil || d.stored.blob == nil {
		return d.result, d.body, nil
	}
	var r jobs.Result
	body := d.stored.blob.Body()
	err := json.Unmarshal(body, &r)
	return r, body, err
}

func isUnknown(err error) bool { return errors.Is(err, ledger.ErrUnknown) }

// tag returns the entity tag. It is weak, since documents of one version differ in time.
func (d *document) tag() string { return `W/"` + d.version + `"` }

// known reports whether an If-None-Match field names this document.
func (d *document) known(tags string) bool {
	return d.version != "" && strings.Contains(tags, `"`+d.version+`"`)
}
