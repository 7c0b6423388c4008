package jobdoc_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// raw returns text as the value of a member.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

var optional = []string{
	"files", "created", "priority", "not_before", "expires", "timeout", "attempts", "needs", "needs_timeout", "labels", "traceparent", "webhook", "repeat", "rerun_of",
}

// TestAbsent checks that values that mean "none" in other languages count as absent.
func TestAbsent(t *testing.T) {
	t.Parallel()
	docs := map[string]string{
		"empty tables": with(object{"labels": raw("[]"), "needs": raw("{ }"), "files": raw("{}")}),
		"null label":   with(object{"labels": raw(`{"meter":null}`)}),
		"null data":    with(object{"input": raw(`{"url":"https://grid.example/meters/42.json","data":null,"sha256":null}`)}),
	}
	for _, name := range optional {
		docs["null "+name] = with(object{name: raw("null")})
	}
	want, err := jobdoc.Decode([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range docs {
		got, err := jobdoc.Decode([]byte(doc))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.Labels)+len(got.Needs)+len(got.Files) > 0 {
			t.Errorf("%s: %+v", name, got)
		}
		got.Labels, got.Needs, got.Files = nil, nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		read, err := jobdoc.Read([]byte(doc))
		read.Labels, read.Needs, read.Files = nil, nil, nil
		if diff := cmp.Diff(want, read); diff != "" || err != nil {
			t.Errorf("%s, read from the record: %v %s", name, err, diff)
		}
	}
	file := raw(`[{"name":"a","url":"http://a/b","sha256":null,"size":null}]`)
	if got, err := jobdoc.Decode([]byte(with(object{"files": file}))); err != nil || len(got.Files) != 1 || got.Files[0] != (jobs.File{Name: "a", URL: "http://a/b"}) {
		t.Errorf("a file with null: %+v, %v", got.Files, err)
	}
	if got, err := jobdoc.Decode([]byte(with(object{"input": raw(`{"url":null,"data":null}`)}))); err != nil || string(got.Input.Data) != "null" {
		t.Errorf("null as input: %+v, %v", got.Input, err)
	}
}

// TestNotAbsent checks that other empty values are refused, with a text that says what
// to write.
func TestNotAbsent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, value, want string }{
		{"labels", `""`, "labels must be an object, not a string; write {} or leave it out"},
		{"labels", `["a"]`, "labels must be an object, not an array"},
		{"labels", `0`, "; write {} or leave it out"},
		{"needs", `""`, "needs must be an array, not a string; write [] or leave it out"},
		{"files", `{"0":{}}`, "files must be an array, not an object"},
		{"files", `[null]`, "files[0] must be an object, not null"},
		{"files", `[[]]`, "files[0].name and files[0].url are missing"},
		{"needs", `[null]`, "needs[0] must be a string, not null"},
		{"timeout", `""`, "; leave it out where there is none"},
		{"timeout", `0`, "timeout must be a string, not a number; leave it out where there is none"},
		{"expires", `""`, "; leave it out where there is none"},
		{"webhook", `""`, "; leave it out where there is none"},
		{"webhook", `false`, "; leave it out where there is none"},
		{"attempts", `0`, "attempts must be at least 1; leave it out where there is none"},
		{"traceparent", `[]`, "traceparent must be a string, not an array; leave it out where there is none"},
		{"input", `{"url":"http://a/b","sha256":""}`, "; leave it out where there is none"},
		{"input", `[]`, "input must have exactly one of url and data"},
		{"input", `null`, "input must be an object, not null"},
		{"program", `null`, "program must be a string, not null"},
		{"program", `""`, "program must be"},
		{"id", `null`, "id must be a string, not null"},
		{"result", `[]`, "result.url is missing"},
	} {
		_, err := jobdoc.Decode([]byte(with(object{test.name: raw(test.value)})))
		f, ok := errors.AsType[*jobs.Fault](err)
		if !ok || !strings.Contains(f.Message, test.want) || strings.HasPrefix(test.name, "program") && strings.Contains(f.Message, "leave it out") {
			t.Errorf("%s: %s: %v", test.name, test.value, err)
		}
	}
	for _, doc := range []string{"[]", "[1]", "null", `""`} {
		if _, err := jobdoc.Decode([]byte(doc)); err == nil || !strings.Contains(err.Error(), "the document must be an object") {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// TestCompleteAbsent checks that Complete replaces values that mean "none".
func TestCompleteAbsent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	d := jobdoc.Defaults{ID: anID, Base: "http://node/", Now: now, Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	for _, doc := range []string{
		`{"program":"p","input":{"data":1}}`,
		`{"id":null,"program":"p","input":{"data":1},"result":null,"created":null,"traceparent": null }`,
		`{"id":"","program":"p","input":{"data":1},"result":[ ],"created":null}`,
		`{"result":{"url":null},"program":"p","input":{"data":1},"id": null}`,
		`{"result":{"url":"" },"program":"p","input":{"data":1}}`,
		`{"result":{},"program":"p","input":{"data":1},"id":null}`,
	} {
		text, err := d.Complete([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		got, err := jobdoc.Decode(text)
		want := jobs.Job{
			ID: anID, Program: "p", Input: jobs.Input{Data: raw("1")}, Result: jobs.Target{URL: "http://node/" + anID},
			Created: now, Traceparent: d.Traceparent,
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s becomes %s: %v %s", doc, text, err, diff)
		}
	}
	same := `{"id":"` + otherID + `","program":"p","input":{"data":1},"result":{"url":"http://a/` + otherID + `"},"created":"2026-01-01T00:00:00Z","traceparent":"` + d.Traceparent + `"}`
	if got, err := d.Complete([]byte(same)); string(got) != same || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// TestByteOrderMark checks the mark that some tools on Windows write first.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	for mark, want := range map[string]string{"\xef\xbb\xbf": "byte order mark", "\xff\xfe": "UTF-16", "\xfe\xff": "UTF-16"} {
		_, decoding := jobdoc.Decode([]byte(mark + minimal))
		_, completing := jobdoc.Complete([]byte(mark+minimal), "http://a", time.Now())
		for _, err := range []error{decoding, completing} {
			if f, ok := errors.AsType[*jobs.Fault](err); !ok || !f.Syntax || !strings.Contains(f.Message, want) {
				t.Errorf("%q: %v", mark, err)
			}
		}
	}
}

// TestReadLeavesOut checks that Read leaves out values that do not meet the schema.
func TestReadLeavesOut(t *testing.T) {
	t.Parallel()
	got, err := jobdoc.Read([]byte(`{"id":7,"program":"p","input":[1],"labels":{"a":"b","c":5},"timeout":"soon","needs":"x","other":{}}`))
	want := jobs.Job{Program: "p", Labels: map[string]string{"a": "b", "c": ""}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, text := range []string{"", "{", `{"a":1,"a":2}`, "{} {}"} {
		if _, err := jobdoc.Read([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}
