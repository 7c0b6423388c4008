package stream

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, result, failure, err string }{
		{line: `{"id":"a","result":{"x":1}}`, result: `{"x":1}`},
		{line: ` { "result" : null , "id" : "a" } ` + "\r", result: `null`},
		{line: `{"id":"a","result":1e400,"new":[1]}`, result: `1e400`},
		{line: `{"id":"a","error":null,"result":2}`, result: `2`},
		{line: `{"id":"a","error":{"message":"m"}}`, failure: "m"},
		{line: `{"id":"a","error":{"message":"m\u001b[31m","final":true}}`, failure: "m final"},
		{line: `{"id":"b","result":1}`, err: `it answered to another job: "{\"id\":\"b\",\"result\":1}"`},
		{line: `{"id":"a"}`, err: "a result or an error"},
		{line: `{"id":"a","result":1,"error":{"message":"m"}}`, err: "a result or an error"},
		{line: `{"id":"a","error":{"final":"yes"}}`, err: "/error/final"},
		{line: `{"id":1,"result":1}`, err: "/id"},
		{line: `{"result":1}`, err: "it has no id"},
		{line: `{"id":"a","result":1,"result":2}`, err: "duplicate"},
		{line: `{"id":"a","result":1}{"id":"a","result":1}`, err: "invalid character"},
		{line: `{"id":"a","result":NaN}`, err: "invalid"},
		{line: "{\"id\":\"a\",\"result\":\"\xff\"}", err: "UTF-8"},
		{line: `{"id":"a","result":` + strings.Repeat("[", 2000), err: "nested"},
		{line: `Loading model...`, err: `"Loading model..."`},
		{line: strings.Repeat("x", 200), err: "and 120 bytes more"},
		{line: ``, err: `""`},
	} {
		a, err := decodeAnswer([]byte(c.line), "a")
		failure := ""
		if a.Error != nil {
			failure = a.Error.Message
			if a.Error.Final {
				failure += " final"
			}
		}
		if string(a.Result) != c.result || failure != c.failure || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: result %s, error %q, %v", c.line, a.Result, failure, err)
		}
	}
}

// TestJobLine checks that a job is one line, whatever its input, and that the input is as
// it was sent.
func TestJobLine(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`{"n": 1.0}`:                      `{"n": 1.0}`,
		"{\n\"n\":\r\n1.000 }":            `{"n":1.000}`,
		"[1,\n\"\\u2028\\n <&>\"\n]":      `[1,"\u2028\n <&>"]`,
		"12345678901234567890123456.50\n": `12345678901234567890123456.50`,
	} {
		job := Job{ID: "a\n\"", Attempt: 3, Input: []byte(input)}
		line, err := appendJob(nil, &job, `/t/in "x"`, "/t/out")
		text := string(line)
		if err != nil || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "}\n") || !strings.Contains(text, `"input":`+want+`,"inputs":`) {
			t.Fatalf("%q: %q, %v", input, text, err)
		}
		var got struct {
			ID, Inputs, Out string
			Attempt         int
			Input           json.RawMessage
		}
		if err := json.Unmarshal(line, &got); err != nil || got.ID != job.ID || got.Attempt != 3 || got.Inputs != `/t/in "x"` || got.Out != "/t/out" {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := appendJob(nil, &Job{Input: []byte("{\n")}, "", ""); err == nil {
		t.Error("an input that is not JSON is sent")
	}
}

// FuzzAnswer checks that an accepted answer has one valid result or one bounded error.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"id":"a","result":{"x":[1,null]}}`, `{"id":"a","error":{"message":"m","final":true}}`, `{"id":"b","result":1}`, `{"id":"a","result":1,"error":{}}`, `{"id":"a"`, `[]`, ``, `{"id":"a","result":1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := decodeAnswer(line, "a")
		switch {
		case err != nil:
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		case (a.Result == nil) == (a.Error == nil) || *a.ID != "a":
			t.Errorf("accepted %+v", a)
		case a.Result != nil && !json.Valid(a.Result):
			t.Errorf("accepted the result %q", a.Result)
		case a.Error != nil && len(a.Error.Message) > 1<<10:
			t.Errorf("accepted a message of %d bytes", len(a.Error.Message))
		}
	})
}
