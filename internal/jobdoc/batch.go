package jobdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// batchInput is where a batch is in its document.
	batchInput = "/input/data"
	// maxExpanded bounds the documents of all frames of a batch together, in bytes.
	maxExpanded = 4 << 30
)

// ofBatch are the members of a job that a frame has from its batch.
var ofBatch = []string{"id", "result", "created", "labels", "priority", "traceparent", "webhook", "repeat", "rerun_of"}

// MaxFrames is the size of the largest file of a package that has the frames of a batch, in bytes.
const MaxFrames = 32 << 20

// Batch reads the batch of a job of the program [jobs.BatchProgram]. All its frames have
// values for the names in its template. Where they are in a file of the package, open returns its
// text by its SHA-256; if open is nil the batch has no frames then, and the Expander is nil. The
// error is a [*jobs.Fault] or that of open.
func Batch(job *jobs.Job, open func(sha256 string) ([]byte, error)) (*jobs.Batch, *jobs.Expander, error) {
	if job.Input.Data == nil {
		return nil, nil, fault("/input", "must have data: the job is a batch, and its frames are there")
	}
	r := batchReader{of: job, batch: jobs.Batch{ID: job.ID}}
	if f := r.read(); f != nil {
		return nil, nil, f
	}
	if r.file != "" {
		unknown, err := r.readFile(open)
		if err != nil || unknown {
			return &r.batch, nil, err
		}
	}
	e, err := r.batch.Expander()
	if err == nil {
		err = e.Check()
	}
	if err != nil {
		f, _ := errors.AsType[*jobs.Fault](err)
		return nil, nil, insideBatch(f)
	}
	if len(r.job)*e.Len() > maxExpanded {
		return nil, nil, fault(batchInput+"/job", "has %d bytes, which %d frames would repeat: give what they have in common by URL", len(r.job), e.Len())
	}
	return &r.batch, e, nil
}

// readFile reads the frames in a file of the package. unknown means that nothing can open it: all
// but the frames is checked.
func (r *batchReader) readFile(open func(sha256 string) ([]byte, error)) (unknown bool, err error) {
	const at = batchInput + "/frames"
	digest, ok := r.batch.Package[r.file]
	if !ok {
		return false, fault(at, "names the file %s, which is not in the package", jsondoc.Excerpt(r.file))
	}
	if open == nil {
		r.batch.Frames = []jobs.Frame{{}}
		_, err := r.batch.Expander()
		r.batch.Frames = nil
		if f, ok := errors.AsType[*jobs.Fault](err); ok {
			return true, insideBatch(f)
		}
		return true, nil
	}
	text, err := open(digest)
	if err != nil {
		return false, err
	}
	if raw := jsontext.Value(text); !raw.IsValid() || raw.Kind() != '[' {
		return false, fault(at, "names the file %s, which must be a JSON list of numbers, ranges and frames", jsondoc.Excerpt(r.file))
	}
	if f := r.frames(text, at); f != nil {
		return false, f
	}
	return false, nil
}

// batchReader reads the input of a batch.
type batchReader struct {
	of    *jobs.Job // the job that is the batch
	batch jobs.Batch
	job   jsontext.Value // the member "job"
	file  string         // of the package, with the frames
}

// insideBatch moves a fault of a batch, or of the job in it, to where it is in the document.
func insideBatch(f *jobs.Fault) *jobs.Fault {
	first, _, _ := strings.Cut(strings.TrimPrefix(f.Pointer, "/"), "/")
	if first == "labels" { // those of the batch
		return f
	}
	at := batchInput
	if !slices.Contains([]string{"frames", "matrix", "max_running", "bundle", "package", "job"}, first) {
		at += "/job"
	}
	return moved(f, at)
}

// moved returns a fault of a value that is at a pointer in the document.
func moved(f *jobs.Fault, at string) *jobs.Fault {
	rest, named := strings.CutPrefix(f.Message, jsondoc.FieldName(f.Pointer))
	pointer := jsondoc.Bounded(at + f.Pointer)
	if named {
		rest = jsondoc.FieldName(pointer) + rest
	}
	return &jobs.Fault{Pointer: pointer, Message: rest}
}

func (r *batchReader) read() *jobs.Fault {
	var bundle jsontext.Value
	f := eachMember(jsontext.Value(r.of.Input.Data), batchInput, func(name string, value jsontext.Value) *jobs.Fault {
		switch at := batchInput + "/" + name; name {
		case "job":
			r.job = value
		case "bundle":
			bundle = value
		case "frames":
			return r.frames(value, at)
		case "matrix":
			return r.matrix(value, at)
		case "max_running":
			if err := jsonv2.Unmarshal(value, &r.batch.MaxRunning); err != nil || r.batch.MaxRunning < 1 {
				return fault(at, "must be an integer above 0; leave it out where there is no limit")
			}
		case "package":
			if err := jsonv2.Unmarshal(value, &r.batch.Package); err != nil || value.Kind() != '{' {
				return fault(at, "must be an object of the names of files, with their SHA-256 digests")
			}
		default:
			return fault(jsondoc.Member(batchInput, name), "is not known: a batch has job, frames or matrix, max_running, bundle and package")
		}
		return nil
	})
	switch {
	case f != nil:
		return f
	case r.job == nil:
		return fault(batchInput, "must have job, which all frames have in common")
	case r.batch.Frames == nil && r.batch.Matrix == nil:
		return fault(batchInput, "must have frames or matrix")
	}
	if r.batch.Job, f = r.part(r.job, batchInput+"/job"); f != nil || bundle == nil {
		return f
	}
	job, f := r.part(bundle, batchInput+"/bundle")
	r.batch.Bundle = &job
	return f
}

// part reads the job that frames have in common, or the bundle.
func (r *batchReader) part(raw jsontext.Value, at string) (jobs.Job, *jobs.Fault) {
	document := map[string]jsontext.Value{}
	f := eachMember(raw, at, func(name string, value jsontext.Value) *jobs.Fault {
		if slices.Contains(ofBatch, name) {
			return fault(at+"/"+name, "is that of the batch: write it there")
		}
		document[name] = value
		return nil
	})
	if f != nil {
		return jobs.Job{}, f
	}
	_, hasInput := document["input"]
	if !hasInput {
		document["input"] = jsontext.Value(`{"data":{}}`)
	}
	id := jobs.NewID()
	document["id"] = jsontext.Value(`"` + id + `"`)
	document["result"] = jsontext.Value(`{"url":"http://localhost/` + id + `"}`)
	text, err := jsonv2.Marshal(document, jsonv2.Deterministic(true))
	if err != nil {
		return jobs.Job{}, fault(at, "cannot be read: %s", err)
	}
	job, f := decodeAs(text, inBatch)
	if f != nil {
		return jobs.Job{}, moved(f, at)
	}
	job.ID, job.Result.URL = "", ""
	if !hasInput {
		job.Input = jobs.Input{}
	}
	job.Labels, job.Priority, job.Created, job.Traceparent = r.of.Labels, r.of.Priority, r.of.Created, r.of.Traceparent
	return job, nil
}

// frames reads a list of numbers, ranges and frames, a text of numbers and ranges, or the name of a
// file of the package.
func (r *batchReader) frames(raw jsontext.Value, at string) *jobs.Fault {
	r.batch.Frames = []jobs.Frame{}
	if raw.Kind() == '"' {
		var text string
		if jsonv2.Unmarshal(raw, &text) == nil {
			if name, ok := inputurl.Packaged(text); ok {
				r.file = name
				return nil
			}
		}
		return r.frame(raw, at)
	}
	if raw.Kind() != '[' {
		return fault(at, "must be a text such as \"1-48\", or a list of numbers, ranges and frames")
	}
	list := jsontext.NewDecoder(bytes.NewReader(raw))
	_, err := list.ReadToken()
	for i := 0; err == nil && list.PeekKind() != ']'; i++ {
		var one jsontext.Value
		if one, err = list.ReadValue(); err != nil {
			break
		}
		if f := r.frame(one, jsondoc.Element(at, i)); f != nil {
			return f
		}
		if len(r.batch.Frames) > jobs.MaxFrames {
			return fault(at, "must have at most %d frames", jobs.MaxFrames)
		}
	}
	if err != nil {
		return fault(at, "cannot be read: %s", err)
	}
	return nil
}

// frame reads a frame, or some of them.
func (r *batchReader) frame(raw jsontext.Value, at string) *jobs.Fault {
	switch raw.Kind() {
	case '"':
		var list string
		if err := jsonv2.Unmarshal(raw, &list); err != nil {
			return fault(at, "must be a text")
		}
		some, err := jobs.ParseFrames(list)
		if err != nil {
			return fault(at, "cannot be read: %s", err)
		}
		r.batch.Frames = append(r.batch.Frames, some...)
		return nil
	case '0':
		var number int
		if err := jsonv2.Unmarshal(raw, &number); err != nil {
			return fault(at, "must be an integer from 0 to %d", jobs.MaxFrame)
		}
		r.batch.Frames = append(r.batch.Frames, jobs.Frame{Number: number})
		return nil
	case '{':
		return r.wholeFrame(raw, at)
	}
	return fault(at, "must be a number, a range such as \"1-48\", or an object with number, values and needs")
}

func (r *batchReader) wholeFrame(raw jsontext.Value, at string) *jobs.Fault {
	var frame struct {
		Number *int                       `json:"number"`
		Values map[string]json.RawMessage `json:"values"`
		Needs  []int                      `json:"needs"`
	}
	if err := jsonv2.Unmarshal(raw, &frame, jsonv2.RejectUnknownMembers(true)); err != nil || frame.Number == nil {
		return fault(at, "must have an integer number, and may have an object of values and a list of the numbers that it needs, nothing else")
	}
	r.batch.Frames = append(r.batch.Frames, jobs.Frame{Number: *frame.Number, Values: frame.Values, Needs: frame.Needs})
	return nil
}

// matrix reads parameters, in the order in which they are written.
func (r *batchReader) matrix(raw jsontext.Value, at string) *jobs.Fault {
	r.batch.Matrix = []jobs.Parameter{}
	return eachMember(raw, at, func(name string, value jsontext.Value) *jobs.Fault {
		p := jobs.Parameter{Name: name}
		if err := jsonv2.Unmarshal(value, &p.Values); err != nil {
			return fault(jsondoc.Member(at, name), "must be a list of values")
		}
		r.batch.Matrix = append(r.batch.Matrix, p)
		return nil
	})
}

// batchFault returns the fault of a job that is a batch, or nil.
func batchFault(job *jobs.Job) *jobs.Fault {
	_, _, err := Batch(job, nil)
	f, _ := errors.AsType[*jobs.Fault](err)
	return f
}
