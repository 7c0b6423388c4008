package pages

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/inputform"
)

// newForm returns an empty form for a program.
func newForm(d api.ProgramDetails, root string) *formView {
	schema := schemaOf(d.Input)
	fields := inputform.New(schema)
	harmless(fields)
	return &formView{
		Action: text.Link(root + "/programs/" + url.PathEscape(d.Name) + "/submit"), Nonce: jobs.NewID(),
		Root: fields, schema: schema,
	}
}

// harmless makes the texts of a schema safe to show. It drops a default value that
// would look like another one.
func harmless(f *inputform.Field) {
	f.Label, f.Description = text.Line(f.Label, 100), text.Line(f.Description, 500)
	for i, label := range f.Labels {
		f.Labels[i] = text.Line(label, 100)
	}
	if logtext.Visible(f.Value, true) != f.Value {
		f.Value = ""
	}
	for _, m := range f.Fields {
		harmless(m)
	}
}

// schemaOf returns a program's schema as JSON, and nil for none.
func schemaOf(v any) []byte {
	if v == nil {
		return nil
	}
	schema, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return schema
}

// document returns the job that a form describes. ok is false where the form says
// what is wrong.
func (f *formView) document(ctx context.Context, program string, posted url.Values) (document []byte, ok bool) {
	f.URL, f.Labels = strings.TrimSpace(posted.Get("url")), posted.Get("labels")
	f.More = f.URL != "" || f.Labels != ""
	if nonce := posted.Get("nonce"); jobs.ValidID(nonce) {
		f.Nonce = nonce
	}
	input, ok := f.input(ctx, posted)
	labels, fault := readLabels(f.Labels)
	if fault != "" {
		f.Fault = fault
	}
	if !ok || f.Fault != "" {
		return nil, false
	}
	job := map[string]any{"program": program, "input": input}
	if len(labels) > 0 {
		job["labels"] = labels
	}
	content, err := json.Marshal(job)
	if err != nil {
		f.Fault = text.Line(err.Error(), 200)
		return nil, false
	}
	job["id"] = formID(f.Nonce, content)
	content, err = json.Marshal(job)
	return content, err == nil
}

// input returns the URL of the input where one is given, else the values of the
// fields.
func (f *formView) input(ctx context.Context, posted url.Values) (any, bool) {
	if f.URL != "" {
		return map[string]string{"url": f.URL}, true
	}
	value, ok := f.Root.Read(posted)
	if ok {
		if pointer, fault := inputform.Check(ctx, f.schema, value); fault != "" {
			ok = false
			if !f.Root.Blame(pointer, text.Line(fault, 200)) {
				f.Fault = text.Line(fault, 200)
			}
		}
	}
	if !ok {
		f.Fault = cmp.Or(f.Fault, "Some values are missing or wrong; each says what it wants.")
		return nil, false
	}
	return map[string]json.RawMessage{"data": value}, true
}

// formID returns the same id for a form that is sent twice, and another one for a
// changed form: the time of the nonce and bits of a digest (RFC 9562, version 7).
func formID(nonce string, content []byte) string {
	id, err := uuid.Parse(nonce)
	if err != nil {
		return jobs.NewID()
	}
	digest := sha256.Sum256(append([]byte(nonce), content...))
	copy(id[6:], digest[:10])
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id.String()
}

// readLabels reads a key=value from each line. fault says what is wrong.
func readLabels(lines string) (labels map[string]string, fault string) {
	labels = map[string]string{}
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		if line == "" {
			continue
		}
		if !ok || key == "" {
			return nil, fmt.Sprintf("%s: a label is written key=value, each on a line.", text.Line(line, 60))
		}
		labels[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return labels, ""
}

// formView is the form that submits a job.
type formView struct {
	Action string
	Root   *inputform.Field
	// Nonce makes a form that is sent twice the same job.
	Nonce  string
	Fault  string // of the whole form
	URL    string // of the input; then the fields do not count
	Labels string
	More   bool // whether the options are open
	schema []byte
}
