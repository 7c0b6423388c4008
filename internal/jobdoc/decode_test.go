package jobdoc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	anID    = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	otherID = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
	digest  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// minimal has only the required members.
const minimal = `{"id":"` + anID + `","program":"forecast",
	"input":{"url":"https://grid.example/meters/42.json"},
	"result":{"url":"https://results.example/` + anID + `"}}`

// ordinary is a typical document of a web server.
const ordinary = `{"id":"` + anID + `","program":"forecast",
	"input":{"url":"https://grid.example/meters/42.json","sha256":"` + digest + `"},
	"result":{"url":"https://results.example/` + anID + `"},
	"created":"2026-11-22T06:16:00Z","timeout":"90m","labels":{"meter":"42"}}`

// full has every field.
const full = `{"id":"` + anID + `","program":"forecast","input":{"data":{"n": 12345678901234567890.5}},
	"files":[{"name":"scene.pov","url":"https://files.example/s?x=1#y","sha256":"` + digest + `","size":1234}],
	"result":{"url":"https://results.example/` + anID + `"},
	"created":"2026-11-22T06:16:00.123Z","priority":0,"not_before":"2026-11-22T07:00:00+01:00",
	"expires":"2026-11-23T06:16:00Z","timeout":"1h30m","attempts":3.0,"needs":["` + otherID + `"],"needs_timeout":"1d",
	"labels":{"meter":"42"},"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	"webhook":"https://www.example/done?shop=7","repeat":"10m","rerun_of":"` + otherID + `"}`

// with returns the minimal document with members replaced. A nil value removes a
// member.
func with(changes map[string]any) string {
	doc := map[string]any{}
	if err := json.Unmarshal([]byte(minimal), &doc); err != nil {
		panic(err)
	}
	for name, v := range changes {
		doc[name] = v
		if v == nil {
			delete(doc, name)
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return string(text)
}

type object = map[string]any

func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := jobdoc.Decode([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	zero := uint32(0)
	want := jobs.Job{
		ID: anID, Program: "forecast",
		Input:        jobs.Input{Data: json.RawMessage(`{"n": 12345678901234567890.5}`)},
		Files:        []jobs.File{{Name: "scene.pov", URL: "https://files.example/s?x=1#y", SHA256: digest, Size: 1234}},
		Result:       jobs.Target{URL: "https://results.example/" + anID},
		Created:      time.Date(2026, 11, 22, 6, 16, 0, 123e6, time.UTC),
		Priority:     &zero,
		NotBefore:    time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC),
		Expires:      time.Date(2026, 11, 23, 6, 16, 0, 0, time.UTC),
		Timeout:      jobs.Duration(90 * time.Minute),
		Attempts:     3,
		NeedsTimeout: jobs.Duration(24 * time.Hour),
		Needs:        []string{otherID},
		Labels:       map[string]string{"meter": "42"},
		Traceparent:  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Webhook:      "https://www.example/done?shop=7",
		Repeat:       jobs.Duration(10 * time.Minute),
		RerunOf:      otherID,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeKeepsInputAsWritten(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`null`, `""`, `[]`, `{}`, `false`, `0`, ` [ 1 , 2 ]`, `123456789012345678901234567890`, `1e400`, `-0.10`, `"\u00e9"`,
	} {
		job, err := jobdoc.Decode([]byte(strings.Replace(minimal, `"url":"https://grid.example/meters/42.json"`, `"data":`+data, 1)))
		if err != nil {
			t.Errorf("%s: %v", data, err)
		}
		if got, want := string(job.Input.Data), strings.TrimSpace(data); got != want {
			t.Errorf("data is %s, want %s", got, want)
		}
	}
}

func TestDecodeAccepts(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"minimal":           minimal,
		"ordinary":          ordinary,
		"space around":      " \n" + minimal + "\r\n\t",
		"version 4":         strings.ReplaceAll(minimal, anID, otherID),
		"longest program":   with(object{"program": strings.Repeat("a", 64)}),
		"least priority":    with(object{"priority": 4294967295}),
		"longest timeout":   with(object{"timeout": "720h"}),
		"fraction of time":  with(object{"timeout": "1.5h"}),
		"needs for ever":    with(object{"needs_timeout": "forever"}),
		"micro":             with(object{"timeout": "5µs"}),
		"name in UTF-8":     with(object{"files": []object{{"name": "Übergröße 1.csv", "url": "http://a/b"}}}),
		"dots in a name":    with(object{"files": []object{{"name": "...", "url": "http://a/b"}, {"name": ".a", "url": "http://a/b"}}}),
		"empty lists":       with(object{"files": []any{}, "needs": []any{}, "labels": object{}}),
		"long label":        with(object{"labels": object{"a": strings.Repeat("é", 256)}}),
		"depth 64":          deep(64),
		"port and IPv6":     with(object{"result": object{"url": "http://[::1]:8420/results/" + anID}}),
		"later traceparent": with(object{"traceparent": "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}),
	} {
		if _, err := jobdoc.Decode([]byte(doc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// deep returns a document with objects and arrays nested to a number of levels.
func deep(levels int) string {
	n := levels - 2 // the document and input
	return strings.Replace(minimal, `"url":"https://grid.example/meters/42.json"`,
		`"data":`+strings.Repeat("[", n)+`"]"`+strings.Repeat("]", n), 1)
}

func TestDecodeFaults(t *testing.T) {
	t.Parallel()
	many := func(n int) []any {
		list := make([]any, n)
		for i := range list {
			list[i] = jobs.NewID()
		}
		return list
	}
	manyFiles := make([]any, 1001)
	for i := range manyFiles {
		manyFiles[i] = object{"name": fmt.Sprint(i), "url": "http://a/b"}
	}
	manyLabels := object{}
	for i := range 65 {
		manyLabels[fmt.Sprint("k", i)] = ""
	}
	file := func(more object) string {
		f := object{"name": "a", "url": "http://a/b"}
		for k, v := range more {
			f[k] = v
		}
		return with(object{"files": []any{object{"name": "first", "url": "http://a/b"}, f}})
	}
	tests := map[string]struct {
		doc     string
		pointer string
		message string // a part of it
	}{
		"not an object":     {`[1]`, "", "the document must be an object, not an array"},
		"null":              {`null`, "", "the document must be an object, not null"},
		"empty object":      {`{}`, "", "id, program, input and result are missing"},
		"no program":        {with(object{"program": nil}), "", "program is missing"},
		"unknown":           {with(object{"zebra": 1}), "/zebra", `unknown field "zebra"`},
		"unknown, near":     {with(object{"time_out": 1}), "/time_out", `did you mean "timeout"?`},
		"unknown, case":     {with(object{"ID": 1}), "/ID", `unknown field "ID"; did you mean "id"?`},
		"unknown in input":  {with(object{"input": object{"uri": "x"}}), "/input/uri", `unknown field "uri" in input; did you mean "url"?`},
		"unknown in file":   {file(object{"sha": "x"}), "/files/1/sha", `unknown field "sha" in files[1]`},
		"odd unknown":       {with(object{"a/~b\x01": 1}), "/a~1~0b\x01", `unknown field "a/~b\x01"`},
		"duplicate":         {minimal[:len(minimal)-1] + `,"program":"x"}`, "/program", "program occurs twice"},
		"duplicate in data": {with(object{"input": json.RawMessage(`{"data":{"a":{"b":1,"b":1}}}`)}), "/input/data/a/b", "input.data.a.b occurs twice"},
		"too deep":          {deep(65), "/input/data", "input.data must not be nested deeper than 64 levels"},
		"far too deep":      {deep(20000), "", "nested deeper than 64"},
		"deep in a label":   {with(object{"labels": object{"a": json.RawMessage(deep(70))}}), "/labels/a", "nested deeper than 64"},
		"too large":         {strings.Repeat(" ", jobs.MaxDocument) + minimal, "", "at most 1048576 bytes"},

		"id not a string":   {with(object{"id": 7}), "/id", "id must be a string, not a number"},
		"id upper case":     {with(object{"id": strings.ToUpper(anID)}), "/id", `id must be a lower-case UUID of version 4 or 7, not "019AAE04-`},
		"id version 1":      {with(object{"id": "019aae04-9f80-1c61-8d2e-5b1c7a90e1f2"}), "/id", "lower-case UUID"},
		"id with more":      {with(object{"id": anID + "\n"}), "/id", "lower-case UUID"},
		"program with dots": {with(object{"program": "../sh"}), "/program", `program must be the name of an installed program: 1 to 64 lower-case letters, digits, '.', '_' or '-', the first a letter or digit, not "../sh"`},
		"program empty":     {with(object{"program": ""}), "/program", "program must be the name"},
		"program too long":  {with(object{"program": strings.Repeat("a", 65)}), "/program", `aaaa"…`},

		"input a string":    {with(object{"input": "x"}), "/input", "input must be an object, not a string"},
		"input empty":       {with(object{"input": object{}}), "/input", "input must have exactly one of url and data"},
		"input both":        {with(object{"input": object{"url": "http://a/b", "data": 0}}), "/input", "input must have exactly one of url and data"},
		"digest of data":    {with(object{"input": object{"data": 1, "sha256": digest}}), "/input", "input may have sha256 only beside url"},
		"digest short":      {with(object{"input": object{"url": "http://a/b", "sha256": digest[1:]}}), "/input/sha256", "input.sha256 must be a SHA-256 digest"},
		"digest upper case": {with(object{"input": object{"url": "http://a/b", "sha256": strings.ToUpper(digest)}}), "/input/sha256", "64 lower-case"},
		"url relative":      {with(object{"input": object{"url": "/a/b"}}), "/input/url", "input.url must be an absolute http or https URL"},
		"url ftp":           {with(object{"input": object{"url": "ftp://a/b"}}), "/input/url", "http or https"},
		"url file":          {with(object{"input": object{"url": "file:///etc/passwd"}}), "/input/url", "http or https"},
		"url no host":       {with(object{"input": object{"url": "http:///b"}}), "/input/url", "http or https"},
		"url only port":     {with(object{"input": object{"url": "http://:80/b"}}), "/input/url", "http or https"},
		"url bad escape":    {with(object{"input": object{"url": "http://a/%zz"}}), "/input/url", "http or https"},
		"url space":         {with(object{"input": object{"url": "http://a/b c"}}), "/input/url", "http or https"},
		"url control":       {with(object{"input": object{"url": "http://a/b\x7f"}}), "/input/url", "http or https"},
		"url user":          {with(object{"input": object{"url": "http://u:secret@a/b"}}), "/input/url", "input.url must not carry a user name or password"},
		"url too long":      {with(object{"input": object{"url": "http://a/" + strings.Repeat("b", 4096)}}), "/input/url", "at most 4096 characters"},

		"result missing url":   {with(object{"result": object{}}), "/result", "result.url is missing"},
		"result other id":      {with(object{"result": object{"url": "http://a/" + otherID}}), "/result/url", `result.url must end in "/` + anID + `"`},
		"result id not alone":  {with(object{"result": object{"url": "http://a/x" + anID}}), "/result/url", "must end in"},
		"result id in query":   {with(object{"result": object{"url": "http://a/?b=/" + anID}}), "/result/url", "neither query nor fragment"},
		"result id in anchor":  {with(object{"result": object{"url": "http://a/#/" + anID}}), "/result/url", "neither query nor fragment"},
		"result user":          {with(object{"result": object{"url": "http://u@a/" + anID}}), "/result/url", "must not carry a user name"},
		"files an object":      {with(object{"files": object{"a": 1}}), "/files", "files must be an array, not an object"},
		"files too many":       {with(object{"files": manyFiles}), "/files", "files must have at most 1000 entries"},
		"file no url":          {with(object{"files": []object{{"name": "a"}}}), "/files/0", "files[0].url is missing"},
		"file slash":           {file(object{"name": "a/b"}), "/files/1/name", "files[1].name must be a plain file name"},
		"file backslash":       {file(object{"name": `a\b`}), "/files/1/name", "plain file name"},
		"file dot":             {file(object{"name": "."}), "/files/1/name", "plain file name"},
		"file dot dot":         {file(object{"name": ".."}), "/files/1/name", "plain file name"},
		"file empty":           {file(object{"name": ""}), "/files/1/name", "files[1].name must have at least 1 character"},
		"file control":         {file(object{"name": "a\nb"}), "/files/1/name", "plain file name"},
		"file long characters": {file(object{"name": strings.Repeat("a", 256)}), "/files/1/name", "at most 255 characters"},
		"file long bytes":      {file(object{"name": strings.Repeat("é", 128)}), "/files/1/name", "at most 255 bytes"},
		"file twice":           {file(object{"name": "first"}), "/files/1/name", `must differ from the name of files[0], "first"`},
		"file size":            {file(object{"size": -1}), "/files/1/size", "files[1].size must be at least 0"},
		"file user":            {file(object{"url": "http://u@a/b"}), "/files/1/url", "user name"},

		"created date":        {with(object{"created": "2026-11-22"}), "/created", `created must be a time as in RFC 3339, such as "2026-11-22T06:16:00Z", not "2026-11-22"`},
		"created number":      {with(object{"created": 1795327560}), "/created", "created must be a string, not a number"},
		"leap second":         {with(object{"created": "2016-12-31T23:59:60Z"}), "/created", "RFC 3339"},
		"expires comma":       {with(object{"expires": "2026-11-22T06:16:00,5Z"}), "/expires", "RFC 3339"},
		"expires first":       {with(object{"expires": "2026-11-22T06:16:00Z", "not_before": "2026-11-22T06:16:00Z"}), "/expires", "expires must be after not_before"},
		"priority negative":   {with(object{"priority": -1}), "/priority", "priority must be at least 0"},
		"priority large":      {with(object{"priority": 4294967296}), "/priority", "priority must be at most 4294967295"},
		"priority fraction":   {with(object{"priority": 1.5}), "/priority", "priority must be an integer, not 1.5"},
		"priority vast":       {with(object{"priority": json.RawMessage("1e999999999")}), "/priority", "at most 4294967295"},
		"priority text":       {with(object{"priority": "1"}), "/priority", "priority must be an integer, not a string"},
		"needs timeout zero":  {with(object{"needs_timeout": "0s"}), "/needs_timeout", "above zero"},
		"needs timeout long":  {with(object{"needs_timeout": "31d"}), "/needs_timeout", "at most 30 days"},
		"needs timeout word":  {with(object{"needs_timeout": "never"}), "/needs_timeout", "forever"},
		"repeat short":        {with(object{"repeat": "999ms"}), "/repeat", `repeat must be a time span such as "10m", "1h30m" or "1d", from 1 second to 366 days, not "999ms"`},
		"repeat long":         {with(object{"repeat": "367d"}), "/repeat", "from 1 second to 366 days"},
		"repeat vast":         {with(object{"repeat": "9999999999999999999h"}), "/repeat", "to 366 days"},
		"repeat zero":         {with(object{"repeat": "0s"}), "/repeat", "from 1 second"},
		"repeat for ever":     {with(object{"repeat": "forever"}), "/repeat", "time span"},
		"repeat number":       {with(object{"repeat": 600}), "/repeat", "repeat must be a string"},
		"timeout for ever":    {with(object{"timeout": "forever"}), "/timeout", "time span"},
		"timeout zero":        {with(object{"timeout": "0s"}), "/timeout", "above zero"},
		"timeout negative":    {with(object{"timeout": "-1s"}), "/timeout", `time span such as "90s"`},
		"timeout too long":    {with(object{"timeout": "720h1ns"}), "/timeout", `at most 30 days, not "720h0m0.000000001s"`},
		"timeout vast":        {with(object{"timeout": "9999999999999999999h"}), "/timeout", "at most 30 days"},
		"timeout no unit":     {with(object{"timeout": "90"}), "/timeout", `time span such as "90s"`},
		"timeout ISO":         {with(object{"timeout": "PT90M"}), "/timeout", `time span such as "90s"`},
		"attempts none":       {with(object{"attempts": 0}), "/attempts", "attempts must be at least 1"},
		"attempts many":       {with(object{"attempts": 101}), "/attempts", "attempts must be at most 100"},
		"needs itself":        {with(object{"needs": []any{otherID, anID}}), "/needs/1", "needs[1] must not be the job itself"},
		"needs itself by URL": {with(object{"needs": []any{"http://a/" + anID}}), "/needs/0", "needs[0] must not be the job itself"},
		"needs twice by URL":  {with(object{"needs": []any{otherID, "http://a/" + otherID}}), "/needs/1", "needs[1] must not be the same job as needs[0]"},
		"needs twice":         {with(object{"needs": []any{otherID, otherID}}), "/needs", "needs must not have the same entry twice"},
		"needs no id":         {with(object{"needs": []any{otherID, "x"}}), "/needs/1", "needs[1] must be the id of a job, or its result URL, not \"x\""},
		"needs too many":      {with(object{"needs": many(10001)}), "/needs", "needs must have at most 10000 entries"},
		"needs far too many":  {with(object{"needs": many(20000)}), "/needs", "needs must have at most 10000 entries"},
		"label number":        {with(object{"labels": object{"a": 1}}), "/labels/a", "labels.a must be a string, not a number"},
		"label key":           {with(object{"labels": object{"A b": "1"}}), "/labels/A b", `labels: the name "A b" must be 1 to 63 lower-case letters`},
		"label key odd":       {with(object{"labels": object{"a/%~é": "1"}}), "/labels/a~1%~0é", "labels: the name"},
		"label key long":      {with(object{"labels": object{strings.Repeat("a", 64): "1"}}), "/labels/" + strings.Repeat("a", 64), "labels: the name"},
		"label long":          {with(object{"labels": object{"a": strings.Repeat("b", 257)}}), "/labels/a", "labels.a must have at most 256 characters"},
		"labels too many":     {with(object{"labels": manyLabels}), "/labels", "labels must have at most 64 entries"},
		"rerun of itself":     {with(object{"rerun_of": anID}), "/rerun_of", "rerun_of must not be the job's own id"},
		"rerun of no id":      {with(object{"rerun_of": "yesterday's"}), "/rerun_of", "rerun_of must be a lower-case UUID"},
		"rerun of nothing":    {with(object{"rerun_of": ""}), "/rerun_of", "rerun_of must be a lower-case UUID"},
		"webhook file":        {with(object{"webhook": "file:///etc/passwd"}), "/webhook", "webhook must be an absolute http or https URL"},
		"webhook password":    {with(object{"webhook": "https://u:geheim@hooks.example/"}), "/webhook", "webhook must not carry a user name or password"},
		"trace no parent":     {with(object{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"}), "/traceparent", "W3C trace context"},
		"trace no trace":      {with(object{"traceparent": "00-00000000000000000000000000000000-00f067aa0ba902b7-01"}), "/traceparent", "W3C trace context"},
		"trace version ff":    {with(object{"traceparent": "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}), "/traceparent", "W3C trace context"},
		"trace upper case":    {with(object{"traceparent": "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"}), "/traceparent", "W3C trace context"},
		"first of several":    {with(object{"attempts": 0, "id": 1}), "/id", "id must be a string"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := mustFault(t, tt.doc)
			if f.Syntax {
				t.Error("the fault is not one of syntax")
			}
			if f.Pointer != tt.pointer {
				t.Errorf("pointer %q, want %q", f.Pointer, tt.pointer)
			}
			if !strings.Contains(f.Message, tt.message) {
				t.Errorf("message %q, want %q in it", f.Message, tt.message)
			}
			if strings.Contains(f.Error(), "secret") {
				t.Error("the message repeats a password")
			}
		})
	}
}

func mustFault(t *testing.T, doc string) *jobs.Fault {
	t.Helper()
	_, err := jobdoc.Decode([]byte(doc))
	f, ok := errors.AsType[*jobs.Fault](err)
	if !ok {
		t.Fatalf("error %v, want a fault", err)
	}
	return f
}

func TestDecodeNotJSON(t *testing.T) {
	t.Parallel()
	for doc, message := range map[string]string{
		"":                             "it is empty",
		" \n ":                         "it is empty",
		"hello":                        "invalid character",
		minimal[:90]:                   "it ends too early",
		`{"id":`:                       "it ends too early",
		minimal + minimal:              "something follows after its end",
		minimal + "x":                  "invalid character",
		`{"id":NaN}`:                   "invalid character",
		`{"id":01}`:                    "invalid character",
		`{'id':1}`:                     "invalid character",
		`{"id":1,}`:                    "invalid character",
		"{\"id\":\"\xff\"}":            "invalid UTF-8",
		`{"id":"\ud800"}`:              "surrogate",
		strings.Repeat("\x00", 300):    "invalid character",
		"\xef\xbb\xbf" + minimal:       "byte order mark",
		`{"id":"` + anID + `","id":1,`: "it ends too early",
	} {
		f := mustFault(t, doc)
		if !f.Syntax || f.ID != "" {
			t.Errorf("%.40q: syntax %v, id %q, want a fault of syntax without id", doc, f.Syntax, f.ID)
		}
		if !strings.Contains(f.Message, "the document is not JSON: ") || !strings.Contains(f.Message, message) {
			t.Errorf("%.40q: message %q, want %q in it", doc, f.Message, message)
		}
	}
}

func TestFaultSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	url := "https://results.example/" + anID
	for name, tt := range map[string]struct{ doc, id, program, url string }{
		"all":              {with(object{"zebra": 1}), anID, "forecast", url},
		"bad program":      {with(object{"program": "../x"}), anID, "", url},
		"bad id":           {with(object{"id": "x"}), "", "forecast", ""},
		"bad url":          {with(object{"result": object{"url": "http://a/b"}}), anID, "forecast", ""},
		"url with space":   {with(object{"result": object{"url": "http://a/b c/" + anID}}), anID, "forecast", ""},
		"two ids":          {minimal[:len(minimal)-1] + `,"id":"` + otherID + `"}`, "", "forecast", ""},
		"three ids":        {minimal[:len(minimal)-1] + `,"id":1,"id":"` + otherID + `"}`, "", "forecast", ""},
		"two programs":     {minimal[:len(minimal)-1] + `,"program":"x"}`, anID, "", url},
		"two in data":      {with(object{"input": json.RawMessage(`{"data":{"b":1,"b":1}}`)}), anID, "forecast", url},
		"after unknown":    {`{"zebra":{"a":[1]},` + minimal[1:], anID, "forecast", url},
		"an array":         {`["` + anID + `"]`, "", "", ""},
		"nested elsewhere": {`{"input":` + minimal + `}`, "", "", ""},
	} {
		f := mustFault(t, tt.doc)
		if f.ID != tt.id || f.Program != tt.program || f.ResultURL != tt.url {
			t.Errorf("%s: %q %q %q, want %q %q %q", name, f.ID, f.Program, f.ResultURL, tt.id, tt.program, tt.url)
		}
	}
}

func TestFaultIsShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500000)
	for _, doc := range []string{
		with(object{long: 1}),
		with(object{"program": long}),
		with(object{"labels": object{"a" + long: "1"}}),
		with(object{"input": object{"data": json.RawMessage(`{"` + long + `":{"b":1,"b":2}}`)}}),
		with(object{"created": long}),
		`{"` + long + `":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		if f := mustFault(t, doc); len(f.Error()) > 2000 {
			t.Errorf("a fault of %d bytes: %.200s", len(f.Error()), f.Error())
		}
	}
}

func TestMarshalledJobIsDecoded(t *testing.T) {
	t.Parallel()
	want, err := jobdoc.Decode([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := jobdoc.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	want.Input.Data = json.RawMessage(`{"n":12345678901234567890.5}`) // compact now
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestResultKeepsBytes(t *testing.T) {
	t.Parallel()
	raw := `{ "a" : 1e400, "b":[ 12345678901234567890.10 ,"\u00e9<"] }`
	var res jobs.Result
	if err := json.Unmarshal([]byte(`{"id":"`+anID+`","state":"succeeded","result":`+raw+`}`), &res); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(res.Result, []byte(raw)) {
		t.Errorf("result is %s, want %s", res.Result, raw)
	}
}
