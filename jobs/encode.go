package jobs

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// encoder writes the document of a valid job: what a general encoder would write by the
// tags of the struct, in a third of the time and with two allocations for twelve.
type encoder struct {
	out []byte
	// first is set where no comma is to be written before the next member.
	first bool
}

// appendJob appends the document. The fault is that of input.data.
func appendJob(dst []byte, j *Job) ([]byte, *Fault) {
	e := encoder{out: append(dst, '{'), first: true}
	e.text("id", j.ID)
	e.text("program", j.Program)
	f := e.input(&j.Input)
	e.files(j.Files)
	e.name("result")
	e.begin('{')
	e.text("url", j.Result.URL)
	e.end('}')
	e.time("created", j.Created)
	if j.Priority != nil {
		e.integer("priority", int64(*j.Priority))
	}
	e.time("not_before", j.NotBefore)
	e.time("expires", j.Expires)
	e.span("timeout", j.Timeout)
	if j.Attempts != 0 {
		e.integer("attempts", int64(j.Attempts))
	}
	if len(j.Needs) > 0 {
		e.name("needs")
		e.begin('[')
		for _, id := range j.Needs {
			e.element()
			e.quote(id)
		}
		e.end(']')
	}
	e.span("needs_timeout", j.NeedsTimeout)
	e.optional("needs_failed", j.NeedsFailed)
	e.labels(j.Labels)
	e.optional("traceparent", j.Traceparent)
	e.optional("webhook", j.Webhook)
	e.keep(j.Keep)
	e.span("repeat", j.Repeat)
	e.optional("rerun_of", j.RerunOf)
	e.end('}')
	return e.out, f
}

func (e *encoder) begin(c byte) { e.out, e.first = append(e.out, c), true }

func (e *encoder) end(c byte) { e.out, e.first = append(e.out, c), false }

// element begins the next element of an array, or the next member of an object.
func (e *encoder) element() {
	if !e.first {
		e.out = append(e.out, ',')
	}
	e.first = false
}

// name begins a member. Its name needs no escapes.
func (e *encoder) name(name string) {
	e.element()
	e.out = append(append(append(e.out, '"'), name...), `":`...)
}

// quote writes a string of valid UTF-8.
func (e *encoder) quote(s string) { e.out, _ = jsontext.AppendQuote(e.out, s) }

func (e *encoder) text(name, s string) {
	e.name(name)
	e.quote(s)
}

func (e *encoder) optional(name, s string) {
	if s != "" {
		e.text(name, s)
	}
}

func (e *encoder) integer(name string, n int64) {
	e.name(name)
	e.out = strconv.AppendInt(e.out, n, 10)
}

func (e *encoder) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	e.name(name)
	e.out = append(t.AppendFormat(append(e.out, '"'), time.RFC3339Nano), '"')
}

func (e *encoder) span(name string, d Duration) {
	if d != 0 {
		e.text(name, d.text())
	}
}

func (e *encoder) input(in *Input) (f *Fault) {
	e.name("input")
	e.begin('{')
	e.optional("url", in.URL)
	e.optional("sha256", in.SHA256)
	if in.Data != nil {
		e.name("data")
		e.out, f = appendData(e.out, in.Data)
	}
	e.end('}')
	return f
}

func (e *encoder) files(files []File) {
	if len(files) == 0 {
		return
	}
	e.name("files")
	e.begin('[')
	for i := range files {
		f := &files[i]
		e.element()
		e.begin('{')
		e.text("name", f.Name)
		e.text("url", f.URL)
		e.optional("sha256", f.SHA256)
		if f.Size != 0 {
			e.integer("size", f.Size)
		}
		e.end('}')
	}
	e.end(']')
}

// labels writes the labels by name, so that the same job is always the same text.
func (e *encoder) labels(labels map[string]string) {
	if len(labels) == 0 {
		return
	}
	names := make([]string, 0, maxLabels)
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	e.name("labels")
	e.begin('{')
	for _, name := range names {
		e.text(name, labels[name])
	}
	e.end('}')
}

func (e *encoder) keep(k Keep) {
	if k == (Keep{}) {
		return
	}
	if k.Succeeded == k.Failed && k.Failed == k.Cancelled {
		e.text("keep", spanText(k.Succeeded))
		return
	}
	e.name("keep")
	e.begin('{')
	e.optional("cancelled", spanText(k.Cancelled))
	e.optional("failed", spanText(k.Failed))
	e.optional("succeeded", spanText(k.Succeeded))
	e.end('}')
}

// appendData appends input.data without white space. It refuses what is not one JSON
// value, duplicate names and bad UTF-8.
func appendData(dst []byte, data json.RawMessage) ([]byte, *Fault) {
	out, err := jsontext.AppendFormat(dst, data)
	if err == nil {
		return out, nil
	}
	pointer, message := "/input/data", err.Error()
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		pointer, message = pointer+string(syntax.JSONPointer), syntax.Err.Error()
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return dst, newFault(pointer, "occurs twice; a name may occur once in an object")
	}
	return dst, newFault("/input/data", "must be a JSON value: %s", strings.TrimPrefix(message, "jsontext: "))
}
