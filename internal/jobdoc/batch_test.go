package jobdoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/runnerbean/runnerbean/jobs"
)

const batchOfTests = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

// TestBatchDocument writes batches in Go, reads them, and compares the frames.
func TestBatchDocument(t *testing.T) {
	t.Parallel()
	priority := uint32(7)
	common := jobs.Job{
		Program: "render", Input: jobs.Input{Data: json.RawMessage(`{"frame":"${frame}","v":"${size}"}`)}, Priority: &priority,
		Files: []jobs.File{{Name: "scene", URL: "https://scenes.example/${frame}.pov"}}, Labels: map[string]string{"film": "forest"},
		Attempts: 2, Webhook: "https://site.example/hook",
	}
	size := func(text string) map[string]json.RawMessage {
		return map[string]json.RawMessage{"size": []byte(text)}
	}
	plain := common
	plain.Input = jobs.Input{URL: "https://data.example/${frame:4}.json"}
	none := common
	none.Input = jobs.Input{}
	for name, b := range map[string]jobs.Batch{
		"frames": {Job: common, Frames: []jobs.Frame{{Number: 3, Values: size(`"a"`)}, {Number: 1, Values: size("[1]"), Needs: []int{3}}}, MaxRunning: 4},
		"matrix": {Job: common, Matrix: []jobs.Parameter{{Name: "size", Values: []json.RawMessage{[]byte("1"), []byte(`"x"`)}}, {Name: "b", Values: []json.RawMessage{[]byte("null"), []byte("{}")}}}},
		"ranges": {Job: plain, Frames: append(append(jobs.Range(1, 9, 2), jobs.Frame{Number: 4}), jobs.Range(100, 90, -1)...)},
		"bundle": {Job: none, Frames: jobs.Range(0, 3, 1), Bundle: &jobs.Job{Program: "film", NeedsFailed: jobs.NeedsRun}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.ID = batchOfTests
			document, err := b.Document()
			if err != nil {
				t.Fatal(err)
			}
			document.Result.URL = "http://a.example/results/" + document.ID
			text, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			job, err := Decode(text)
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if job.Webhook != common.Webhook || *job.Priority != 7 || job.Labels["film"] != "forest" {
				t.Errorf("the batch is %+v", job)
			}
			read, expander, err := Batch(&job, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := b.Expander()
			if err != nil {
				t.Fatal(err)
			}
			if read.MaxRunning != b.MaxRunning || expander.Len() != want.Len() {
				t.Fatalf("%d frames, %d at once", expander.Len(), read.MaxRunning)
			}
			sameFrames(t, want, expander)
			if diff := cmp.Diff(want.Bundle(), expander.Bundle()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func sameFrames(t *testing.T, want, got *jobs.Expander) {
	t.Helper()
	for i := range want.Len() {
		a, err := want.Job(i)
		b, err2 := got.Job(i)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Error(diff)
		}
		b.Result.URL = "http://a.example/" + b.ID
		if err := b.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// TestBatchDocumentFaults reads batches that are wrong in one way each.
func TestBatchDocumentFaults(t *testing.T) {
	t.Parallel()
	// Faults that the schema shows, too.
	schema, shown := compileBatchSchema(t), 0
	for input, want := range map[string]string{
		`[]`:                                  `/input/data: input.data must be an object`,
		`{}`:                                  `/input/data: input.data must have job`,
		`{"job":{"program":"p"}}`:             `must have frames or matrix`,
		`{"job":{"program":"p"},"frames":[]}`: `/input/data/frames: input.data.frames must have at least one frame`,
		`{"job":{"program":"p"},"frames":"1-10000000"}`:                                                             `has more than 100000 frames`,
		`{"job":{"program":"p"},"frames":["0-99999","100000-100001"]}`:                                              `/input/data/frames: input.data.frames must have at most 100000 frames`,
		`{"job":{"program":"p"},"frames":[-1]}`:                                                                     `must have numbers from 0 to 2147483647, not -1`,
		`{"job":{"program":"p"},"frames":[1.5]}`:                                                                    `/input/data/frames/0: input.data.frames[0] must be an integer`,
		`{"job":{"program":"p"},"frames":[1,1]}`:                                                                    `must not have the number 1 twice`,
		`{"job":{"program":"p"},"frames":[null]}`:                                                                   `must be a number, a range`,
		`{"job":{"program":"p"},"frames":[{"values":{}}]}`:                                                          `must have an integer number`,
		`{"job":{"program":"p"},"frames":[{"number":1,"need":[2]}]}`:                                                `nothing else`,
		`{"job":{"program":"p"},"frames":[{"number":1,"needs":[1]}]}`:                                               `need one another in a circle: 1 needs 1`,
		`{"job":{"program":"p"},"frames":[{"number":1,"needs":[2]}]}`:                                               `frame 1 needs frame 2, which the batch does not have`,
		`{"job":{"program":"p","input":{"data":"${x}"}},"frames":"1-3"}`:                                            `/input/data/job/input/data: frame 1: input.data has ${x}, which is no value of the frame`,
		`{"job":{"program":"p","input":{"data":["${"]}},"frames":"1-3"}`:                                            `/input/data/job/input/data/0: input.data.job.input.data[0] has a ${ without`,
		`{"job":{"program":"P!"},"frames":"1"}`:                                                                     `/input/data/job/program: input.data.job.program must be`,
		`{"job":{"program":"p","tmieout":"1s"},"frames":"1"}`:                                                       `/input/data/job/tmieout: unknown field "tmieout"`,
		`{"job":{"program":"p","labels":{}},"frames":"1"}`:                                                          `/input/data/job/labels: input.data.job.labels is that of the batch`,
		`{"job":{"program":"p","repeat":"1h"},"frames":"1"}`:                                                        `/input/data/job/repeat: input.data.job.repeat is that of the batch`,
		`{"job":{"program":"batch","input":{"data":{}}},"frames":"1"}`:                                              `/input/data/job/program: input.data.job.program must not be a batch`,
		`{"job":{"program":"p"},"frames":"1","bundle":{"program":"batch"}}`:                                         `must not be a batch again`,
		`{"job":{"program":"p"},"frames":"1","bundle":{}}`:                                                          `/input/data/bundle`,
		`{"job":{"program":"p"},"frames":"1-20000","bundle":{"program":"b"}}`:                                       `/input/data/bundle: input.data.bundle takes at most 10000 frames, not 20000`,
		`{"job":{"program":"p"},"frames":"1","max_running":0}`:                                                      `/input/data/max_running: input.data.max_running must be an integer above 0`,
		`{"job":{"program":"p"},"frame":"1"}`:                                                                       `/input/data/frame: input.data.frame is not known`,
		`{"job":{"program":"p"},"frames":"package:f"}`:                                                              `/input/data/frames: input.data.frames names the file "f", which is not in the package`,
		`{"job":{"program":"p"},"frames":["package:f"]}`:                                                            `/input/data/frames/0: input.data.frames[0] cannot be read`,
		`{"job":{"program":"p"},"frames":"package:f","package":{"f":"` + someDigest + `"},"matrix":{"a":[1]}}`:      `must not stand beside matrix`,
		`{"job":{"program":"p","input":{"data":["${"]}},"frames":"package:f","package":{"f":"` + someDigest + `"}}`: `/input/data/job/input/data/0: input.data.job.input.data[0] has a ${ without`,
		`{"job":{"program":"p"},"matrix":{"a":1}}`:                                                                  `/input/data/matrix/a: input.data.matrix.a must be a list of values`,
		`{"job":{"program":"p"},"matrix":{"a":[]}}`:                                                                 `must have at least one value`,
		`{"job":{"program":"p"},"matrix":{"A":[1]}}`:                                                                `the name of a value must be`,
		`{"job":{"program":"p"},"matrix":{}}`:                                                                       `must have at least one frame`,
		`{"job":{"program":"p"},"matrix":{"a":[1]},"frames":[1]}`:                                                   `must not stand beside matrix`,
		`{"job":{"program":"p","input":{"data":"` + strings.Repeat("x", 900_000) + `"}},"frames":"1-100000"}`:       `which 100000 frames would repeat`,
		`{"job":{"program":"p"},"matrix":{` + strings.TrimSuffix(strings.Repeat(`"a%":[1,2],`, 17), ",") + `}}`:     `must have at most 100000 combinations`,
	} {
		for n := 0; strings.Contains(input, "a%"); n++ {
			input = strings.Replace(input, "a%", "a"+string(rune('a'+n)), 1)
		}
		if schemaAllows(t, schema, input) {
			shown--
		}
		shown++
		document := `{"id":"` + batchOfTests + `","program":"batch","result":{"url":"http://a.example/` + batchOfTests + `"},"input":{"data":` + input + `}}`
		_, err := Decode([]byte(document))
		var f *jobs.Fault
		if !errors.As(err, &f) || !strings.Contains(f.Pointer+": "+f.Message, want) || f.ID != batchOfTests || !strings.HasPrefix(f.Pointer, "/input/data") {
			t.Errorf("%.200s: %+v, want %q", input, f, want)
		}
	}
	if shown < 17 {
		t.Errorf("the schema shows %d of these faults", shown)
	}
}

func compileBatchSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	for url, text := range map[string][]byte{schemaURL: Schema(), "https://runnerbean.github.io/schema/batch.json": BatchSchema()} {
		if err := c.AddResource(url, bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("https://runnerbean.github.io/schema/batch.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func schemaAllows(t *testing.T, schema *jsonschema.Schema, document string) bool {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(v) == nil
}

var someDigest = strings.Repeat("0", 64)

// TestFramesInAFile reads frames from a file of the package, and what is wrong with them.
func TestFramesInAFile(t *testing.T) {
	t.Parallel()
	job := jobs.Job{ID: batchOfTests, Program: jobs.BatchProgram, Input: jobs.Input{Data: []byte(
		`{"job":{"program":"p","input":{"data":"${x}"}},"frames":"package:f.json","package":{"f.json":"` + someDigest + `"},"max_running":2}`)}}
	if batch, expander, err := Batch(&job, nil); err != nil || expander != nil || len(batch.Frames) != 0 || batch.MaxRunning != 2 || batch.Package["f.json"] != someDigest {
		t.Fatalf("without the file: %+v, %v", batch, err)
	}
	if digests, err := StoredFiles(&job); err != nil || len(digests) != 1 || digests[0] != someDigest {
		t.Errorf("%q, %v", digests, err)
	}
	read := func(text string) (*jobs.Expander, error) {
		_, expander, err := Batch(&job, func(digest string) ([]byte, error) {
			if digest != someDigest {
				t.Errorf("opened %s", digest)
			}
			return []byte(text), nil
		})
		return expander, err
	}
	expander, err := read(`[{"number":7,"values":{"x":"a"},"needs":[2]},{"number":2,"values":{"x":"b"}}]`)
	if err != nil || expander.Len() != 2 || expander.Frame(0).Number != 7 {
		t.Fatal(err)
	}
	if frame, err := expander.Job(1); err != nil || string(frame.Input.Data) != `"b"` {
		t.Errorf("%+v, %v", frame, err)
	}
	for text, want := range map[string]string{
		"":                   "/input/data/frames: input.data.frames names the file \"f.json\", which must be a JSON list",
		`"1-3"`:              "must be a JSON list",
		`"package:f.json"`:   "must be a JSON list",
		`["package:f.json"]`: "/input/data/frames/0: input.data.frames[0] cannot be read",
		"[]":                 "must have at least one frame",
		`["1-3"]`:            "frame 1: input.data has ${x}, which is no value",
		`[{"number":1,"values":{"x":1}},{"number":1,"values":{"x":1}}]`: "must not have the number 1 twice",
		`["0-99999",{"number":100000},{"number":100001}]`:               "must have at most 100000 frames",
	} {
		_, err := read(text)
		if f, ok := errors.AsType[*jobs.Fault](err); !ok || !strings.Contains(f.Pointer+": "+f.Message, want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	gone := errors.New("gone")
	if _, _, err := Batch(&job, func(string) ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// TestBatchSchema takes the examples of batches, in both forms.
func TestBatchSchema(t *testing.T) {
	t.Parallel()
	schema := compileBatchSchema(t)
	for _, path := range []string{"../../examples/render/batch.json", "../../examples/sweep/batch.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !schemaAllows(t, schema, string(text)) {
			t.Errorf("the schema refuses %s", path)
		}
		document, err := BatchDocument(text)
		if err == nil {
			document, err = Complete(document, "http://a.example", time.Now())
		}
		if err == nil {
			_, err = Decode(document)
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestBatchLabels names the labels of the batch itself.
func TestBatchLabels(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for n := range 63 {
		many[fmt.Sprintf("l%d", n)] = ""
	}
	for want, labels := range map[string]map[string]string{
		"/labels: labels must have at most 62 entries":    many,
		"/labels/frame: labels.frame is set by the batch": {"frame": "7"},
	} {
		text, err := json.Marshal(labels)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Decode(fmt.Appendf(nil, `{"id":%q,"program":"batch","result":{"url":"http://a.example/%[1]s"},"labels":%s,"input":{"data":{"job":{"program":"p"},"frames":"1"}}}`, batchOfTests, text))
		var f *jobs.Fault
		if !errors.As(err, &f) || !strings.Contains(f.Pointer+": "+f.Message, want) {
			t.Errorf("%+v, want %q", f, want)
		}
	}
}

// TestFlatBatch puts the members of a batch where they belong.
func TestFlatBatch(t *testing.T) {
	t.Parallel()
	got, err := BatchDocument([]byte(`{"labels":{"a":"b"},"frames":"1-3","job":{"program":"p"},"bundle":{"program":"film"}}`))
	const want = `{"input":{"data":{"bundle":{"program":"film"},"frames":"1-3","job":{"program":"p"}}},"labels":{"a":"b"},"program":"batch"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	for input, want := range map[string]string{`[1]`: "must be an object", `{"program":"p"}`: "is in job", `{`: "not JSON"} {
		if _, err := BatchDocument([]byte(input)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}
