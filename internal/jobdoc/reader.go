package jobdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxDepth is how deep objects and arrays may be nested.
const maxDepth = 64

var errTrailing = errors.New("something follows the document")

// parsedDocument is a document that was read once along its schema. It has what
// the validator needs, and the input value as it was written.
type parsedDocument struct {
	root any
	// data is the raw input.data; the validator sees null in its place.
	data json.RawMessage
	// fault is the first member that the schema does not know, or the first value
	// that is nested too deep.
	fault *jobs.Fault
}

// documentReader reads a parsedDocument.
type documentReader struct {
	doc parsedDocument
	dec *jsontext.Decoder
}

// readDocument reads one JSON value and nothing after it. The error is the
// decoder's own.
func readDocument(s *jsonschema.Schema, data []byte, opts ...jsontext.Options) (parsedDocument, error) {
	r := documentReader{dec: jsontext.NewDecoder(bytes.NewBuffer(data), opts...)}
	var err error
	if r.doc.root, err = r.value(s); err != nil {
		return parsedDocument{}, err
	}
	switch _, err := r.dec.ReadToken(); {
	case err == nil:
		return parsedDocument{}, errTrailing
	case err != io.EOF:
		return parsedDocument{}, err
	}
	// Beside a URL null is no data.
	if in := object(object(r.doc.root)["input"]); text(in["url"]) != "" && string(r.doc.data) == "null" {
		delete(in, "data")
		r.doc.data = nil
	}
	return r.doc, nil
}

// value reads the next value. It skips what the schema does not look into, so
// that the schema bounds memory and depth, and not the sender.
func (r *documentReader) value(s *jsonschema.Schema) (any, error) {
	switch r.dec.PeekKind() {
	case jsontext.KindBeginObject:
		if s.Properties != nil || additional(s) != nil {
			return r.object(s)
		}
		if s.Items2020 != nil {
			return r.empty("{}", []any{}, map[string]any{})
		}
	case jsontext.KindBeginArray:
		if s.Items2020 != nil {
			return r.array(s)
		}
		if s.Properties != nil && r.dec.StackDepth() > 0 || additional(s) != nil {
			return r.empty("[]", map[string]any{}, []any{})
		}
	}
	if len(s.Types) == 0 {
		return nil, r.keep()
	}
	return r.scalar()
}

// empty reads an object where the schema wants an array, or the reverse. An empty
// one stands for an empty value of the right kind, because languages with one kind
// of table write both alike.
func (r *documentReader) empty(text string, none, other any) (any, error) {
	raw, err := r.raw()
	if withoutSpace(raw) == text {
		return none, err
	}
	return other, err
}

// withoutSpace returns a value without white space, as far as that shows whether
// it is empty.
func withoutSpace(raw jsontext.Value) string {
	text := bytes.TrimSpace(raw)
	if len(text) < 2 {
		return string(text)
	}
	return string(text[:1]) + string(bytes.TrimSpace(text[1:]))
}

// keep stores the next value as it is written.
func (r *documentReader) keep() error {
	raw, err := r.raw()
	r.doc.data = bytes.Clone(raw)
	return err
}

// raw reads the next value, whatever it is, and checks its depth.
func (r *documentReader) raw() (jsontext.Value, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if r.doc.fault == nil && r.dec.StackDepth()+jsondoc.Depth(raw) > maxDepth {
		r.doc.fault = tooDeep(string(r.dec.StackPointer()))
	}
	return raw, nil
}

// scalar reads a string, number, boolean or null. Of an object or array, which the
// schema does not allow here, only the kind is kept.
func (r *documentReader) scalar() (any, error) {
	switch r.dec.PeekKind() {
	case jsontext.KindBeginObject:
		_, err := r.raw()
		return map[string]any{}, err
	case jsontext.KindBeginArray:
		_, err := r.raw()
		return []any{}, err
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case jsontext.KindString:
		return tok.String(), nil
	case jsontext.KindNumber:
		return number(tok.String()), nil
	case jsontext.KindTrue, jsontext.KindFalse:
		return tok.Bool(), nil
	}
	return nil, nil
}

// number returns a bounded value: the validator computes with exact numbers, and
// an exponent of a million would take all memory.
func number(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(s, 64)
	return max(-math.MaxFloat64, min(f, math.MaxFloat64))
}

// object reads an object along s.
func (r *documentReader) object(s *jsonschema.Schema) (any, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	out := make(map[string]any, 8)
	for r.dec.PeekKind() != jsontext.KindEndObject {
		if err := r.member(s, out); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.ReadToken()
	return out, err
}

// member reads a name and its value into out.
func (r *documentReader) member(s *jsonschema.Schema, out map[string]any) error {
	tok, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	name := tok.String()
	sub := s.Properties[name]
	if sub == nil {
		sub = additional(s)
	}
	if sub == nil && closed(s) && r.doc.fault == nil {
		r.doc.fault = unknown(s, string(r.dec.StackPointer()), name)
	}
	if full := s.MaxProperties >= 0 && len(out) > s.MaxProperties; sub == nil || full {
		_, err := r.raw()
		return err
	}
	v, err := r.value(sub)
	if v == nil && len(sub.Types) > 0 && !slices.Contains(s.Required, name) {
		return err // null stands for no value
	}
	if _, twice := out[name]; twice {
		v = nil // only where duplicates are let pass, and then neither is trusted
	}
	out[name] = v
	return err
}

// array reads an array along s. It does not keep elements beyond the limit: the
// validator reports one too many.
func (r *documentReader) array(s *jsonschema.Schema) (any, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	out := []any{}
	for r.dec.PeekKind() != jsontext.KindEndArray {
		if s.MaxItems >= 0 && len(out) > s.MaxItems {
			if _, err := r.raw(); err != nil {
				return nil, err
			}
			continue
		}
		v, err := r.value(s.Items2020)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := r.dec.ReadToken()
	return out, err
}

// tooDeep returns the fault of a value that is nested too deep.
func tooDeep(pointer string) *jobs.Fault {
	return fault(pointer, "must not be nested deeper than %d levels", maxDepth)
}
