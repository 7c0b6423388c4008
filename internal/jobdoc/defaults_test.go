package jobdoc_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

var now = time.Date(2026, 11, 22, 6, 16, 0, 123456789, time.UTC)

func TestComplete(t *testing.T) {
	t.Parallel()
	const created = `"created":"2026-11-22T06:16:00.123Z"`
	result := `"result":{"url":"http://node/results/` + anID + `"}`
	for name, tt := range map[string]struct{ doc, want string }{
		"has all":        {`{"id":"x","result":{"url":"y"},"created":1}`, `{"id":"x","result":{"url":"y"},"created":1}`},
		"no created":     {`{ "id":"x","result":{"url":"y"}}`, `{` + created + `, "id":"x","result":{"url":"y"}}`},
		"no result":      {`{"id":"` + anID + `","created":1}`, `{` + result + `,"id":"` + anID + `","created":1}`},
		"no url":         {`{"id":"` + anID + `","created":1,"result": {}}`, `{"id":"` + anID + `","created":1,"result": {"url":"http://node/results/` + anID + `"}}`},
		"more in result": {`{"id":"` + anID + `","created":1,"result":{"a":1}}`, `{"id":"` + anID + `","created":1,"result":{"url":"http://node/results/` + anID + `","a":1}}`},
		"both":           {`{"id":"` + anID + `","result":{}}`, `{` + created + `,"id":"` + anID + `","result":{"url":"http://node/results/` + anID + `"}}`},
		"bad id":         {`{"id":"\"x","created":1}`, `{"id":"\"x","created":1}`},
		"id a number":    {`{"id":1,"created":1}`, `{"id":1,"created":1}`},
		"result null":    {`{"id":"` + anID + `","created":1,"result":null}`, `{"id":"` + anID + `","created":1,"result":{"url":"http://node/results/` + anID + `"}}`},
		"null stays":     {`{"id":"x","created":1,"result":{"url":null}}`, `{"id":"x","created":1,"result":{"url":null}}`},
		"numbers stay":   {`{"id":"x","created":1,"input":{"data":1.10e400}}`, `{"id":"x","created":1,"input":{"data":1.10e400}}`},
		"escaped name":   {`{"\u0069d":"x","created":1}`, `{"\u0069d":"x","created":1}`},
	} {
		got, err := jobdoc.Complete([]byte(tt.doc), "http://node/results/", now)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", name, got, err, tt.want)
		}
	}
}

func TestCompleteWithATrace(t *testing.T) {
	t.Parallel()
	const (
		has   = `{"id":"x","result":{"url":"y"},"created":1}`
		trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	)
	for name, tt := range map[string]struct{ doc, trace, want string }{
		"none":         {has, "", has},
		"given":        {has, trace, `{"traceparent":"` + trace + `",` + has[1:]},
		"has one":      {`{"traceparent":"",` + has[1:], trace, `{"traceparent":"",` + has[1:]},
		"no such":      {has, "00-x", has},
		"text with it": {has, trace + `","program":"rm`, has},
	} {
		got, err := jobdoc.Defaults{Base: "http://node", Now: now, Traceparent: tt.trace}.Complete([]byte(tt.doc))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", name, got, err, tt.want)
		}
	}
}

func TestCompleteMakesAJob(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{"program":"forecast","input":{"data":1}}`,
		` {"program":"forecast","result":{},"input":{"data":1} } `,
	} {
		text, err := jobdoc.Complete([]byte(doc), "http://node", now)
		if err != nil {
			t.Fatal(err)
		}
		job, err := jobdoc.Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if job.Result.URL != "http://node/"+job.ID || !job.Created.Equal(now.Truncate(time.Millisecond)) {
			t.Errorf("got %+v", job)
		}
	}
	text, err := jobdoc.Complete([]byte(`{}`), "http://node", now)
	if err != nil || !json.Valid(text) {
		t.Errorf("{}: %s, %v", text, err)
	}
}

func TestCompleteFaults(t *testing.T) {
	t.Parallel()
	for doc, syntax := range map[string]bool{
		"": true, "x": true, "{": true, `{"id":}`: true, "{} {}": true, "{}x": true, `{"result":{`: true,
		"[]": false, "null": false, `"x"`: false, `{"a":1,"a":2}`: false, `{"result":{"a":1,"a":2}}`: false,
		strings.Repeat(" ", jobs.MaxDocument) + "{}": false,
	} {
		text, err := jobdoc.Complete([]byte(doc), "http://node", now)
		f, ok := errors.AsType[*jobs.Fault](err)
		if !ok || f.Syntax != syntax || f.Message == "" || text != nil {
			t.Errorf("%.20q: %s, %#v, want syntax %v", doc, text, err, syntax)
		}
	}
}
