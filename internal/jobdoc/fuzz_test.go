package jobdoc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// seeds are documents from which the fuzzer starts.
func seeds() []string {
	return []string{
		"", "{}", "[]", "null", `"x"`, "\x00\x00", minimal, ordinary, full, deep(64), deep(66), minimal + minimal,
		with(object{"labels": json.RawMessage(`[ ]`), "needs": json.RawMessage(`{}`), "files": json.RawMessage(`null`), "timeout": json.RawMessage(`""`)}),
		with(object{"input": json.RawMessage(`{"url":"http://a/b","data":null}`), "id": json.RawMessage("null")}),
		strings.Replace(minimal, `"id"`, `"\u0069d"`, 1),
		`{"id":"` + anID + `","id":"` + otherID + `"}`,
		with(object{"priority": json.RawMessage("1e999999999")}),
		with(object{"created": "0000-01-01T00:00:00+23:59", "expires": "9999-12-31T23:59:59.9999999999-23:59"}),
		with(object{"timeout": "2562047h47m16.854775807s"}),
		with(object{"repeat": "10m"}), with(object{"repeat": ".5s", "timeout": "forever"}), with(object{"repeat": "366d1ns"}),
		with(object{"labels": object{"a/b~": "\u2028"}, "needs": []any{otherID}}),
		with(object{"files": []any{object{"name": "..", "url": "http://[::1"}}}),
		with(object{"input": object{"data": object{"a": json.RawMessage(`[-0.0,1E+2,"\ud83d\ude00"]`)}}}),
	}
}

// FuzzDecode: no text makes Decode panic, what it refuses has a fault that can
// be shown, and what it accepts stays the same when written and read again.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		job, err := jobdoc.Decode(data)
		if err != nil {
			checkFault(t, err)
			return
		}
		text, err := json.Marshal(job)
		if err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		again, err := jobdoc.Decode(text)
		if err != nil {
			t.Fatalf("written, but refused: %v\n%s", err, text)
		}
		job.Input.Data, again.Input.Data = canonical(t, job.Input.Data), canonical(t, again.Input.Data)
		if diff := cmp.Diff(job, again); diff != "" {
			t.Error(diff)
		}
	})
}

func checkFault(t *testing.T, err error) {
	t.Helper()
	f, ok := errors.AsType[*jobs.Fault](err)
	switch {
	case !ok:
		t.Fatalf("not a fault: %v", err)
	case f.Message == "" || len(f.Error()) > 2000:
		t.Errorf("message of %d bytes: %.100q", len(f.Error()), f.Message)
	case f.Pointer != "" && f.Pointer[0] != '/':
		t.Errorf("pointer %q", f.Pointer)
	case f.ID != "" && (f.Syntax || !jobs.ValidID(f.ID)):
		t.Errorf("id %q, syntax %v", f.ID, f.Syntax)
	case f.ResultURL != "" && !strings.HasSuffix(f.ResultURL, "/"+f.ID):
		t.Errorf("id %q, result URL %q", f.ID, f.ResultURL)
	}
}

// canonical is a value without its spaces, for encoding/json writes it so.
func canonical(t *testing.T, raw json.RawMessage) json.RawMessage {
	t.Helper()
	if raw == nil {
		return nil
	}
	text, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzComplete: a completed document is valid JSON whenever the given one was,
// and a job whenever only what Complete adds was missing.
func FuzzComplete(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"program":"forecast","input":{"data":1},"result":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := jobdoc.Complete(data, "http://node", now)
		if err != nil {
			checkFault(t, err)
			return
		}
		if !json.Valid(text) {
			t.Fatalf("not JSON: %s", text)
		}
		if _, err := jobdoc.Decode(data); err == nil && len(text) <= jobs.MaxDocument {
			if _, err := jobdoc.Decode(text); err != nil {
				t.Errorf("was a job, is none any more: %v", err)
			}
		}
		again, err := jobdoc.Complete(text, "http://other", now)
		if len(text) <= jobs.MaxDocument && (err != nil || string(again) != string(text)) {
			t.Errorf("not complete: %v\n%s\n%s", err, text, again)
		}
	})
}

// FuzzSplit compares the documents of an array with what a decoder of the whole array makes
// of it.
func FuzzSplit(f *testing.F) {
	const most = 4
	for _, seed := range []string{
		"[" + minimal + "," + minimal + "]", "[]", " [1 , {} ]\n", "[[1]]", "{}", "[1", "[1]2", "[\"\xff\",{\"a\":1,\"a\":2}]", "[1,2,3,4,5]",
		strings.Repeat("[", 20_000), "[" + strings.Repeat(`{"a":`, 20_000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !jobdoc.IsArray(body) {
			return
		}
		got, fault := jobdoc.Split(body, most)
		if fault != nil {
			checkFault(t, fault)
		}
		var want []jsontext.Value
		wrong := jsonv2.Unmarshal(body, &want, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		nested := slices.ContainsFunc(want, func(v jsontext.Value) bool { return v.Kind() == '[' })
		if takes := wrong == nil && !nested && len(want) > 0 && len(want) <= most; takes != (fault == nil) {
			t.Fatalf("%v, and a decoder says %v of %d elements", fault, wrong, len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("element %d is %q, not %q", i, got[i], want[i])
			}
		}
	})
}
