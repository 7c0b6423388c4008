package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v5"
)

// schemas returns the schemas of program.json, compiled as a node does.
func schemas(t *testing.T) (input, result *jsonschema.Schema) {
	t.Helper()
	text, err := os.ReadFile("program.json")
	if err != nil {
		t.Fatal(err)
	}
	var program struct{ Input, Result jsontext.Value }
	if err := json.Unmarshal(text, &program, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	compile := func(name string, schema []byte) *jsonschema.Schema {
		c := jsonschema.NewCompiler()
		c.Draft, c.AssertFormat = jsonschema.Draft2020, true
		if err := c.AddResource(name, bytes.NewReader(schema)); err != nil {
			t.Fatal(err)
		}
		return c.MustCompile(name)
	}
	return compile("mem:///input.json", program.Input), compile("mem:///result.json", program.Result)
}

func valueOf(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
	return v
}

func TestOutputIsAsProgramJSONSays(t *testing.T) {
	t.Parallel()
	inputSchema, resultSchema := schemas(t)
	for _, document := range []string{good, strings.Replace(good, "[2,4]", "[2]", 1), strings.Replace(good, "3.5", "-3.5", 1)} {
		if err := inputSchema.Validate(valueOf(t, []byte(document))); err != nil {
			t.Errorf("input: %v", err)
		}
		var stdout bytes.Buffer
		if err := run(strings.NewReader(document), &stdout, &events{}); err != nil {
			t.Fatal(err)
		}
		if err := resultSchema.Validate(valueOf(t, stdout.Bytes())); err != nil {
			t.Errorf("result: %v", err)
		}
		if n := bytes.Count(stdout.Bytes(), []byte("\n")); n != 1 {
			t.Errorf("%d lines on standard output, want 1", n)
		}
	}
}

func TestProgressOnlyGrows(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	events, done := openEvents(name)
	if err := run(strings.NewReader(good), &bytes.Buffer{}, events); err != nil {
		t.Fatal(err)
	}
	done()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	last, partials := 0.0, 0
	for line := range strings.Lines(string(text)) {
		var e struct {
			Progress *float64
			Message  string
			Partial  *struct{ Series predicted }
		}
		if err := json.Unmarshal([]byte(line), &e, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.Progress != nil {
			if *e.Progress <= last || *e.Progress > 1 || e.Message == "" {
				t.Errorf("after %g came %s", last, line)
			}
			last = *e.Progress
		}
		if e.Partial != nil {
			partials++
			if len(e.Partial.Series.Values) != 3 || e.Partial.Series.Start != "2026-11-22T04:00:00Z" {
				t.Errorf("partial result is %s", line)
			}
		}
	}
	if last != 1 || partials != 1 {
		t.Errorf("progress ended at %g with %d partial results, want 1 and 1", last, partials)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "/nonexistent/events", "1073741823", "-1", "2"} {
		events, done := openEvents(name)
		var stdout bytes.Buffer
		if err := run(strings.NewReader(good), &stdout, events); err != nil {
			t.Errorf("RUNNERBEAN_EVENTS=%q: %v", name, err)
		}
		done()
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{run(strings.NewReader(`{"seasons":[2]}`), &bytes.Buffer{}, &events{}), exitData, "series.start: must be"},
		{run(broken{}, &bytes.Buffer{}, &events{}), 1, "read input"},
		{run(strings.NewReader(good), full{}, &events{}), 1, "full"},
	}
	for _, test := range tests {
		var stderr bytes.Buffer
		if code := exitCode(test.err, &stderr); code != test.code || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%v: exit code %d and %q, want %d and %q", test.err, code, &stderr, test.code, test.says)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestRunawayIsAFault(t *testing.T) {
	t.Parallel()
	in := inputOf([]float64{1e-9, 1e-8, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9, 1e12}, []count{2}, 1000)
	if err := in.check(); err != nil {
		t.Fatal(err)
	}
	out, err := forecast(in, &events{})
	var fault *invalid
	if err != nil && !errors.As(err, &fault) {
		t.Errorf("got %v, want a fault of the input", err)
	}
	if err == nil && !finite(out.Series.Upper) {
		t.Error("the forecast is not finite")
	}
}

func TestRounding(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ unit, value, want float64 }{
		{30000, 1.23456789, 37037},
		{0.02, 1.23456789, 0.0246914},
		{4e9, 1.23456789, 4938270000},
	} {
		if got := rounded(scale{unit: test.unit}, []float64{test.value})[0]; math.Abs(got-test.want) > 1e-15*test.want {
			t.Errorf("%g of %g: got %g, want %g", test.value, test.unit, got, test.want)
		}
	}
}
