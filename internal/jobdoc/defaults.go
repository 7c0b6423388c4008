package jobdoc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/jobs"
)

// Defaults are the values for members that a document leaves out.
type Defaults struct {
	// ID of the job. Default a new one.
	ID string
	// Base begins the result URL.
	Base string
	// Now is the value of created.
	Now time.Time
	// Traceparent is used if it is a W3C trace context.
	Traceparent string
}

// Complete returns the document with id, result.url (base + "/" + id) and created,
// if they are missing. The rest stays as it is, byte for byte. It does not
// validate; [Decode] does. The error is a [*jobs.Fault] for a text that is not a JSON
// object.
func Complete(data []byte, base string, now time.Time) ([]byte, error) {
	return Defaults{Base: base, Now: now}.Complete(data)
}

// Complete is the function [Complete], and adds a trace context if the document
// has none.
func (d Defaults) Complete(data []byte) ([]byte, error) {
	if f := tooLarge(data); f != nil {
		return nil, f
	}
	o, err := readOutline(data)
	if err != nil {
		return nil, jobSchema().unreadable(data, err)
	}
	if !o.isObject {
		_, f := decode(data)
		return nil, f
	}
	o.fill(d)
	return o.insert(data), nil
}

// outline has the members of a document that may have to be filled in.
type outline struct {
	isObject                                  bool
	id, created, traceparent, result, address memberValue
	top, in                                   insertPoint // the document, and its result
	edits                                     []edit
}

// memberValue is a member of the document.
type memberValue struct {
	there    bool   // it has a value, even an empty one
	text     string // the value, if it is a string
	from, to int64  // where an empty value is; 0 if it is not empty
}

func (p memberValue) absent() bool { return !p.there || p.to > 0 }

// edit replaces a part of the document by text.
type edit struct {
	from, to int64
	text     string
}

// readOutline reads the document once.
func readOutline(data []byte) (outline, error) {
	o := outline{}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	if dec.PeekKind() != jsontext.KindBeginObject {
		return o, dec.SkipValue()
	}
	o.isObject = true
	var err error
	if o.top, err = members(dec, o.member); err != nil {
		return o, err
	}
	switch _, err := dec.ReadToken(); err {
	case nil:
		return o, errTrailing
	case io.EOF:
		return o, nil
	default:
		return o, err
	}
}

// member notes one member of the document.
func (o *outline) member(dec *jsontext.Decoder, name string) (err error) {
	switch name {
	case "id":
		return o.id.read(dec, `""`)
	case "created":
		return o.created.read(dec)
	case "traceparent":
		return o.traceparent.read(dec)
	case "result":
		if dec.PeekKind() != jsontext.KindBeginObject {
			return o.result.read(dec, "[]")
		}
		o.result.there = true
		o.in, err = members(dec, o.resultMember)
		return err
	}
	return dec.SkipValue()
}

// resultMember notes one member of result.
func (o *outline) resultMember(dec *jsontext.Decoder, name string) error {
	if name == "url" {
		return o.address.read(dec, `""`)
	}
	return dec.SkipValue()
}

// read reads a value. null and the texts in none are empty values.
func (p *memberValue) read(dec *jsontext.Decoder, none ...string) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	p.there = true
	if to := dec.InputOffset(); raw.Kind() == jsontext.KindNull || slices.Contains(none, withoutSpace(raw)) {
		p.from, p.to = to-int64(len(raw)), to
	}
	if raw.Kind() == jsontext.KindString {
		_ = json.Unmarshal(raw, &p.text) // it is a valid string
	}
	return nil
}

// fill decides what to add. It adds no result URL for an invalid id.
func (o *outline) fill(d Defaults) {
	id := o.id.text
	if o.id.absent() {
		id = cmp.Or(d.ID, jobs.NewID())
		o.put(&o.top, o.id, "id", quote(id))
	}
	target := quote(resultURL(d.Base, id))
	switch {
	case !jobs.ValidID(id):
	case o.result.absent():
		o.put(&o.top, o.result, "result", `{"url":`+target+`}`)
	case o.address.absent() && o.in.at > 0:
		o.put(&o.in, o.address, "url", target)
	}
	if o.created.absent() {
		o.put(&o.top, o.created, "created", quote(createdAt(d.Now).Format(time.RFC3339Nano)))
	}
	if o.traceparent.absent() && validTraceparent(d.Traceparent) {
		o.put(&o.top, o.traceparent, "traceparent", quote(d.Traceparent))
	}
}

// put sets a member: in place of its empty value, or behind the opening brace.
func (o *outline) put(h *insertPoint, p memberValue, name, value string) {
	if p.there {
		o.edits = append(o.edits, edit{p.from, p.to, value})
		return
	}
	h.add = append(h.add, quote(name)+":"+value)
}

// validTraceparent reports whether s is a W3C trace context. Others are ignored,
// because they come from the caller and not from the author of the job.
func validTraceparent(s string) bool {
	return s != "" && jobSchema().root.Properties["traceparent"].Validate(s) == nil
}

// resultURL returns where the result of a job will be.
func resultURL(base, id string) string { return strings.TrimRight(base, "/") + "/" + id }

// createdAt returns a time in the precision of documents.
func createdAt(now time.Time) time.Time { return now.UTC().Truncate(time.Millisecond) }

func quote(s string) string {
	b, _ := json.Marshal(s) // a string cannot fail
	return string(b)
}

// insert returns the document with all that was added.
func (o *outline) insert(data []byte) []byte {
	for _, h := range []insertPoint{o.top, o.in} {
		if len(h.add) == 0 {
			continue
		}
		text := strings.Join(h.add, ",")
		if !h.empty {
			text += ","
		}
		o.edits = append(o.edits, edit{h.at, h.at, text})
	}
	slices.SortFunc(o.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	out := make([]byte, 0, len(data)+256)
	from := int64(0)
	for _, e := range o.edits {
		out = append(append(out, data[from:e.from]...), e.text...)
		from = e.to
	}
	return append(out, data[from:]...)
}
