package jobdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// decodeJob reads the text once. All later steps use the parsed document.
func decodeJob(data []byte) (jobs.Job, *jobs.Fault) { return decodeAs(data, rules) }

// decodeAs is decodeJob. more checks what the schema cannot express.
func decodeAs(data []byte, more func(jobs.Job) *jobs.Fault) (jobs.Job, *jobs.Fault) {
	if f := tooLarge(data); f != nil {
		return jobs.Job{}, f
	}
	schema := jobSchema()
	t, err := readDocument(schema.root, data)
	if err != nil {
		return jobs.Job{}, schema.unreadable(data, err)
	}
	job, f := schema.check(t, more)
	if f != nil {
		return jobs.Job{}, schema.identify(f, t.root)
	}
	return withNeedIDs(job), nil
}

// tooLarge returns a fault for a document that is too large to be read, or nil.
func tooLarge(data []byte) *jobs.Fault {
	if len(data) <= jobs.MaxDocument {
		return nil
	}
	return &jobs.Fault{Message: fmt.Sprintf("the document must have at most %d bytes, not %d", jobs.MaxDocument, len(data))}
}

// check validates a document and converts it to a Job.
func (c *schemaIndex) check(t parsedDocument, more func(jobs.Job) *jobs.Fault) (jobs.Job, *jobs.Fault) {
	if t.fault != nil {
		return jobs.Job{}, t.fault
	}
	if err := c.root.Validate(t.root); err != nil {
		return jobs.Job{}, c.invalid(err, t.root)
	}
	job, f := convert(t)
	if f == nil {
		f = more(job)
	}
	return job, f
}

// rules checks what the schema cannot express.
func rules(job jobs.Job) *jobs.Fault {
	if job.Input.Data != nil {
		job.Input.Data = json.RawMessage("null") // the reader has checked it
	}
	f, _ := errors.AsType[*jobs.Fault](job.Validate())
	return f
}

// inBatch is rules for the part of a batch that is a job: it may name files of the package.
func inBatch(job jobs.Job) *jobs.Fault {
	const known = "http://localhost/"
	if _, packaged := inputurl.Packaged(job.Input.URL); packaged {
		job.Input.URL = known
	}
	job.Files = slices.Clone(job.Files)
	for i := range job.Files {
		if _, packaged := inputurl.Packaged(job.Files[i].URL); packaged {
			job.Files[i].URL = known
		}
	}
	return rules(job)
}

// invalid returns the fault of a document that does not meet the schema.
func (c *schemaIndex) invalid(err error, root any) *jobs.Fault {
	if report, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return c.schemaFault(report, root)
	}
	return &jobs.Fault{Message: "the document cannot be checked: " + err.Error()}
}

// unreadable returns the fault of a text that the JSON decoder rejects.
func (c *schemaIndex) unreadable(data []byte, err error) *jobs.Fault {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return c.duplicate(data, err)
	}
	if jsondoc.Depth(data) > maxDepth {
		return tooDeep("")
	}
	return &jobs.Fault{Syntax: true, Message: "the document is not JSON: " + syntaxMessage(data, err)}
}

// syntaxMessage returns why and where the text is not JSON.
func syntaxMessage(data []byte, err error) string {
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "it begins with a byte order mark; write UTF-8 without one"
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return "it is UTF-16; write UTF-8"
	case len(strings.TrimSpace(string(data[:min(len(data), 64)]))) == 0 && errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, errTrailing):
		return "something follows after its end"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it ends too early"
	case ok:
		return fmt.Sprintf("%v after byte %d", syntax.Err, syntax.ByteOffset)
	}
	return err.Error()
}

// duplicate returns the fault of a name that occurs twice. It reads the document
// again for its id, because the decoder stopped at the name.
func (c *schemaIndex) duplicate(data []byte, err error) *jobs.Fault {
	f := &jobs.Fault{}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		f = fault(string(syntax.JSONPointer), "occurs twice; a name may occur once in an object")
	}
	t, err := readDocument(c.root, data, jsontext.AllowDuplicateNames(true))
	if err != nil {
		return c.unreadable(data, err)
	}
	return c.identify(f, t.root)
}

// identify adds the id, program and result URL of the document to a fault, each
// only if it is valid.
func (c *schemaIndex) identify(f *jobs.Fault, root any) *jobs.Fault {
	doc := object(root)
	named := jobs.Job{ID: text(doc["id"]), Program: text(doc["program"]), Result: jobs.Target{URL: text(object(doc["result"])["url"])}}
	if known, ok := errors.AsType[*jobs.Fault](named.Validate()); ok { // it has no input
		f.ID, f.Program, f.ResultURL = known.ID, known.Program, known.ResultURL
	}
	return f
}
