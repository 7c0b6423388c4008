package jobdoc

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/internal/jobdoc/jobdoctest"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestValidateAgreesWithTheSchema checks that jobs.Job.Validate finds the fault that the
// schema finds in the document of the job, with the same words, and no other.
func TestValidateAgreesWithTheSchema(t *testing.T) {
	t.Parallel()
	for job := range jobdoctest.Each {
		agree(t, job)
	}
	rapid.Check(t, func(t *rapid.T) { agree(t, jobdoctest.Draw(t)) })
}

func FuzzValidate(f *testing.F) {
	for _, s := range []string{
		`{"id":"019aae04-9f80-7c61-8d2e-5b1c7a90e1f2","program":"p","input":{"data":{"a":[1]}},"result":{"url":"http://a/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"},"keep":"30d"}`,
		`{"id":"","files":[{"name":"a","url":"http://u@a/b","size":-1}],"labels":{"A/":"x"},"created":"0000-01-01T00:00:00Z","timeout":"1h","needs":["x","x"]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var job jobs.Job
		if json.Unmarshal(text, &job) == nil {
			agree(t, job)
		}
	})
}

// rule matches what is beyond the schema.
var rule = regexp.MustCompile(`must (end in|have neither query nor|not carry a user|differ from the name|not be the job's own|be after not_before|have at most 255 bytes|not name a file of a package)`)

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func agree(t failer, job jobs.Job) {
	t.Helper()
	got, _ := errors.AsType[*jobs.Fault](job.Validate())
	text, err := jsonv2.Marshal(job, jsonv2.Deterministic(true))
	if err != nil {
		if got == nil || got.Pointer == "" {
			t.Fatalf("valid, but cannot be written: %v, fault %v", err, got)
		}
		return
	}
	want := schemaOnly(text)
	switch {
	case want == nil && got != nil && !rule.MatchString(got.Message) && !badSpan(got) && !badURL(&job, got):
		t.Fatalf("a fault beyond the schema and the rules: %v\n%s", got, text)
	case want != nil && (got == nil || got.Pointer != want.Pointer || got.Message != withoutRemedy(want)):
		t.Fatalf("found %v\nwant  %v\n%.500s", got, want, text)
	}
	_, err = Decode(text)
	decoded, _ := errors.AsType[*jobs.Fault](err)
	if (decoded == nil) != (got == nil) || got != nil && (decoded.Pointer != got.Pointer || withoutRemedy(decoded) != got.Message) {
		t.Fatalf("Validate says %+v\nDecode says   %+v\n%.500s", got, decoded, text)
	}
}

// withoutRemedy returns the message without what to write in place of an empty value,
// which the fields of a Job leave out by themselves.
func withoutRemedy(f *jobs.Fault) string {
	return strings.TrimSuffix(f.Message, "; leave it out where there is none")
}

// schemaOnly checks a document without the rules beyond the schema.
func schemaOnly(text []byte) *jobs.Fault {
	schema := jobSchema()
	doc, err := readDocument(schema.root, text)
	if err != nil {
		return schema.unreadable(text, err)
	}
	if doc.fault != nil {
		return doc.fault
	}
	if err := schema.root.Validate(doc.root); err != nil {
		return schema.invalid(err, doc.root)
	}
	_, f := convert(doc)
	return f
}

// badSpan: the schema does not know how long a time span is.
func badSpan(f *jobs.Fault) bool {
	return f.Pointer == "/timeout" || f.Pointer == "/needs_timeout" || f.Pointer == "/repeat"
}

// badURL reports whether a fault is that of a URL that package net/url refuses.
func badURL(job *jobs.Job, f *jobs.Fault) bool {
	list := map[string]string{"/result/url": job.Result.URL, "/input/url": job.Input.URL, "/webhook": job.Webhook}
	for i, file := range job.Files {
		list[jsondoc.Element("/files", i)+"/url"] = file.URL
	}
	u, err := url.Parse(list[f.Pointer])
	return err != nil || u.Hostname() == ""
}
