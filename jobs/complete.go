package jobs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Defaults are what a document gets where it does not say.
type Defaults struct {
	// ID, or a new one where this is empty too.
	ID string
	// Base is what the result URL begins with.
	Base string
	// Now becomes created.
	Now time.Time
	// Traceparent, if it is a W3C trace context.
	Traceparent string
}

// Complete fills in id, result.url (base + "/" + id) and created where a
// document has none and leaves the rest as it is, byte for byte. It does not
// validate: [Decode] does. A text that is not a JSON object is a [*Fault].
func Complete(data []byte, base string, now time.Time) ([]byte, error) {
	return Defaults{Base: base, Now: now}.Complete(data)
}

// Complete is [Complete] with a trace context for a document that has none.
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

// outline is what a document has of the things to complete.
type outline struct {
	isObject                     bool
	id                           string
	hasID, hasCreated, hasResult bool
	hasResultObject, hasURL      bool
	hasTraceparent               bool
	top, result                  hole
}

// hole is the place just behind an opening brace, and what goes there.
type hole struct {
	at    int64
	empty bool // nothing else is between the braces
	add   []string
}

// readOutline passes over the document once.
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

// members reads an object; visit must consume the value of each name.
func members(dec *jsontext.Decoder, visit func(*jsontext.Decoder, string) error) (hole, error) {
	_, err := dec.ReadToken()
	h := hole{at: dec.InputOffset(), empty: dec.PeekKind() == jsontext.KindEndObject}
	for err == nil && dec.PeekKind() != jsontext.KindEndObject {
		var name jsontext.Token
		if name, err = dec.ReadToken(); err == nil {
			err = visit(dec, name.String())
		}
	}
	if err == nil {
		_, err = dec.ReadToken()
	}
	return h, err
}

// member notes one member of the document.
func (o *outline) member(dec *jsontext.Decoder, name string) (err error) {
	switch kind := dec.PeekKind(); {
	case name == "id":
		o.hasID = true
		if kind == jsontext.KindString {
			return o.readID(dec)
		}
	case name == "created":
		o.hasCreated = true
	case name == "traceparent":
		o.hasTraceparent = true
	case name == "result":
		o.hasResult = true
		if kind == jsontext.KindBeginObject {
			o.hasResultObject = true
			o.result, err = members(dec, o.resultMember)
			return err
		}
	}
	return dec.SkipValue()
}

func (o *outline) readID(dec *jsontext.Decoder) error {
	tok, err := dec.ReadToken()
	if err == nil {
		o.id = tok.String()
	}
	return err
}

// resultMember notes one member of result.
func (o *outline) resultMember(dec *jsontext.Decoder, name string) error {
	o.hasURL = o.hasURL || name == "url"
	return dec.SkipValue()
}

// fill decides what to add. A result URL is not made of an id that is not one.
func (o *outline) fill(d Defaults) {
	if !o.hasID {
		o.id = cmp.Or(d.ID, NewID())
		o.top.add = append(o.top.add, `"id":`+quote(o.id))
	}
	target := `"url":` + quote(resultURL(d.Base, o.id))
	switch {
	case !ValidID(o.id):
	case !o.hasResult:
		o.top.add = append(o.top.add, `"result":{`+target+`}`)
	case o.hasResultObject && !o.hasURL:
		o.result.add = append(o.result.add, target)
	}
	if !o.hasCreated {
		o.top.add = append(o.top.add, `"created":`+quote(createdAt(d.Now).Format(time.RFC3339Nano)))
	}
	if !o.hasTraceparent && validTraceparent(d.Traceparent) {
		o.top.add = append(o.top.add, `"traceparent":`+quote(d.Traceparent))
	}
}

// validTraceparent: one that is not a trace context is passed over, for it comes
// from whoever calls and says nothing about the job.
func validTraceparent(s string) bool {
	return s != "" && jobSchema().root.Properties["traceparent"].Validate(s) == nil
}

// resultURL is where the result of a job will be.
func resultURL(base, id string) string { return strings.TrimRight(base, "/") + "/" + id }

// createdAt is a time as documents have it.
func createdAt(now time.Time) time.Time { return now.UTC().Truncate(time.Millisecond) }

func quote(s string) string {
	b, _ := json.Marshal(s) // a string cannot fail
	return string(b)
}

// insert puts the additions into their holes.
func (o *outline) insert(data []byte) []byte {
	out := make([]byte, 0, len(data)+256)
	from := int64(0)
	for _, h := range []hole{o.top, o.result} {
		if len(h.add) == 0 {
			continue
		}
		out = append(out, data[from:h.at]...)
		out = append(out, strings.Join(h.add, ",")...)
		if !h.empty {
			out = append(out, ',')
		}
		from = h.at
	}
	return append(out, data[from:]...)
}
