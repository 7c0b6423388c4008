package pages

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/inputform"
)

// newForm is an empty form for a program.
func (p *Pages) newForm(d api.ProgramDetails, root string) *formView {
	schema := schemaOf(d.Input)
	fields := inputform.New(schema)
	harmless(fields)
	return &formView{
		Action: text.Link(root + "/programs/" + url.PathEscape(d.Name) + "/submit"), Nonce: jobs.NewID(),
		Root: fields, schema: schema,
	}
}

// harmless makes what the author of a schema has written fit for a page. A value
// that would look like another one is not proposed.
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

// schemaOf is a program's schema as text; nil where it has none.
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

// Submit submits the job that a form describes and goes to its page.
func (p *Pages) Submit(c echo.Context) error {
	name := c.Param("name")
	if !httpio.ProgramName.MatchString(name) {
		return echo.ErrNotFound
	}
	if err := p.cfg.Operations.TakesJobs(); err != nil {
		return err
	}
	posted, err := httpio.ReadForm(c, jobs.MaxDocument)
	if err != nil {
		return err
	}
	var filled *formView
	view, err := p.programPage(c, name, func(d api.ProgramDetails, root string) *formView {
		filled = p.newForm(d, root)
		return filled
	})
	if err != nil {
		return err
	}
	if filled == nil {
		return httpio.Problem(http.StatusForbidden, "you may look here and not submit jobs")
	}
	id, err := p.submit(c, name, filled, posted)
	if err != nil {
		return err
	}
	if id == "" {
		return send(c, http.StatusUnprocessableEntity, dashboardPolicy, "program.html", view)
	}
	return c.Redirect(http.StatusSeeOther, view.Root+"/jobs/"+id)
}

// submit returns the id of the job, or none where the form says what is wrong.
func (p *Pages) submit(c echo.Context, program string, f *formView, posted url.Values) (string, error) {
	document, ok := f.document(c.Request().Context(), program, posted)
	if !ok {
		return "", nil
	}
	document, err := jobs.Complete(document, p.cfg.BaseURL, time.Now())
	var accepted ledger.Accepted
	if err == nil {
		accepted, err = p.cfg.Operations.Accept(c.Request().Context(), document, auth.CallerOf(c).By)
	}
	if err == nil && accepted.Err != nil && !errors.Is(accepted.Err, ledger.ErrConflict) {
		err = accepted.Err
	}
	var fault *jobs.Fault
	if errors.As(err, &fault) {
		f.Fault = text.Line(fault.Error(), 400)
		return "", nil
	}
	return accepted.Record.ID, err
}

// document makes the job of what was filled in.
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

// input is the input's URL where one is given, else what the fields hold.
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

// formID gives the same form, posted twice, the same id, and a changed one
// another: the time of the nonce, and bits of a digest (RFC 9562, version 7).
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

// readLabels reads one key=value from each line.
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
