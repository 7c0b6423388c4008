package jobdoc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestSchemaExamples checks that the examples in the schemas are valid.
func TestSchemaExamples(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{"job": Schema(), "result": ResultSchema()} {
		var doc struct{ Examples []json.RawMessage }
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		if len(doc.Examples) < 2 {
			t.Errorf("%s: %d examples", name, len(doc.Examples))
		}
		for _, e := range doc.Examples {
			if name == "job" {
				if _, err := Decode(e); err != nil {
					t.Errorf("%s: %v", e, err)
				}
				continue
			}
			mustBeResult(t, e)
		}
	}
}

func mustBeResult(t *testing.T, text []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if err := compile(resultSchemaURL, resultSchemaText).root.Validate(v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

// TestResultsMeetTheirSchema checks that the schema allows what the Go types write.
func TestResultsMeetTheirSchema(t *testing.T) {
	t.Parallel()
	now, half, one := time.Now(), 0.5, 1
	digest := strings.Repeat("0f", 32)
	for _, r := range []jobs.Result{
		{State: jobs.Waiting, Reason: "for another"},
		{State: jobs.Queued, Position: &one, NotBefore: now},
		{
			State: jobs.Running, Attempt: 1, Node: "n", Started: now, Progress: &half, Message: "m",
			Counters: map[string]float64{"a": 1}, Partial: json.RawMessage(`[1]`),
		},
		{
			State: jobs.Succeeded, Created: now, Finished: now, Result: json.RawMessage(`null`),
			Provenance: &jobs.Provenance{ProgramSHA256: digest, Inputs: []jobs.Source{{SHA256: digest, LastModified: now}}},
			Artifacts:  []jobs.Artifact{{Name: "a", URL: "http://a/b", SHA256: digest}},
		},
		{State: jobs.Failed, Finished: now, Error: &jobs.Error{Class: jobs.ClassDocument, Message: "m", Pointer: "/a", LogTail: "l"}},
		{State: jobs.Cancelled, Finished: now},
	} {
		r.ID, r.Timestamp = jobs.NewID(), now
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		mustBeResult(t, text)
	}
}

// TestSchemaNamesTheFields checks that the schema and the Go types have the same
// members.
func TestSchemaNamesTheFields(t *testing.T) {
	t.Parallel()
	job := jobSchema().root
	result := compile(resultSchemaURL, resultSchemaText).root
	for _, tt := range []struct {
		goType any
		schema *jsonschema.Schema
	}{
		{jobs.Job{}, job},
		{jobs.Input{}, job.Properties["input"]},
		{jobs.File{}, job.Properties["files"].Items2020},
		{jobs.Target{}, job.Properties["result"]},
		{jobs.Result{}, result},
		{jobs.Provenance{}, result.Properties["provenance"]},
		{jobs.Source{}, result.Properties["provenance"].Properties["inputs"].Items2020},
		{jobs.Artifact{}, result.Properties["artifacts"].Items2020},
		{jobs.Error{}, result.Properties["error"]},
	} {
		var want []string
		for f := range reflect.TypeOf(tt.goType).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want = append(want, name)
		}
		var got []string
		for name := range tt.schema.Properties {
			got = append(got, name)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T: %s", tt.goType, diff)
		}
	}
}

// TestSchemaStates checks that the schema lists the states and classes of the Go types.
func TestSchemaStates(t *testing.T) {
	t.Parallel()
	result := compile(resultSchemaURL, resultSchemaText).root
	var states []any
	for _, s := range jobs.States {
		states = append(states, string(s))
	}
	if diff := cmp.Diff(states, result.Properties["state"].Enum); diff != "" {
		t.Error(diff)
	}
	classes := result.Properties["error"].Properties["class"].Enum
	for _, o := range []jobs.Outcome{
		jobs.OutcomeFailed, jobs.OutcomeError, jobs.OutcomeTimeout, jobs.OutcomeStalled, jobs.OutcomeKilled, jobs.OutcomeLost, jobs.OutcomeInput,
		jobs.OutcomeCancelled, jobs.OutcomeInterrupted, jobs.OutcomeInternal, jobs.ClassDocument, jobs.ClassExpired, jobs.ClassNeeds,
	} {
		if !slices.Contains(classes, any(string(o))) {
			t.Errorf("class %s is not in the schema", o)
		}
	}
}

// TestSchemaLoadsNothing checks that a schema that refers to a file or the web is
// refused.
func TestSchemaLoadsNothing(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"file:///etc/passwd", "http://127.0.0.1/x.json", "other.json"} {
		func() {
			defer func() {
				if why := fmt.Sprint(recover()); !strings.Contains(why, "refer to itself only") {
					t.Errorf("%s: %v", ref, why)
				}
			}()
			compile("https://runnerbean.github.io/schema/x.json", []byte(`{"$ref":"`+ref+`"}`))
		}()
	}
}

func TestSchemaIsACopy(t *testing.T) {
	t.Parallel()
	Schema()[0], ResultSchema()[0] = 'x', 'x'
	if Schema()[0] != '{' || ResultSchema()[0] != '{' {
		t.Error("a caller can change the schema")
	}
}
