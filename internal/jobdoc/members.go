package jobdoc

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/jobs"
)

// insertPoint is the place just behind an opening brace.
type insertPoint struct {
	at    int64
	empty bool // nothing else is between the braces
	add   []string
}

// members reads an object; visit must consume the value of each name.
func members(dec *jsontext.Decoder, visit func(*jsontext.Decoder, string) error) (insertPoint, error) {
	_, err := dec.ReadToken()
	h := insertPoint{at: dec.InputOffset(), empty: dec.PeekKind() == jsontext.KindEndObject}
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

// eachMember reads an object whose members have already been found to be unique.
func eachMember(raw jsontext.Value, at string, member func(name string, value jsontext.Value) *jobs.Fault) *jobs.Fault {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if d.PeekKind() != '{' {
		return fault(at, "must be an object")
	}
	var f *jobs.Fault
	_, err := members(d, func(d *jsontext.Decoder, name string) error {
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if f = member(name, value.Clone()); f != nil {
			return f
		}
		return nil
	})
	if err != nil && f == nil {
		f = fault(at, "cannot be read: %s", err)
	}
	return f
}
