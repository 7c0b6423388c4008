package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

const batchID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

// TestBatch makes the jobs of frames with inputs by template, labels and needs.
func TestBatch(t *testing.T) {
	t.Parallel()
	before := NewID()
	b := Batch{ID: batchID, Frames: []Frame{{Number: 7}, {Number: 10, Needs: []int{7}}}, Job: Job{
		Program: "render", Needs: []string{before}, Labels: map[string]string{"film": "forest"},
		Input: Input{Data: json.RawMessage(`{"frame":"${frame}", "${frame}":1, "out":["f/${frame:4}.png","$${frame}"]}`)},
		Files: []File{{Name: "scene", URL: "https://scenes.example/${frame}.pov"}},
	}}
	list, err := b.Jobs()
	if err != nil {
		t.Fatal(err)
	}
	var inputs, files []string
	for i := range list {
		j := &list[i]
		inputs, files = append(inputs, string(j.Input.Data)), append(files, j.Files[0].URL)
		if diff := cmp.Diff(map[string]string{"film": "forest", "batch": batchID, "frame": fmt.Sprint(b.Frames[i].Number)}, j.Labels); diff != "" {
			t.Error(diff)
		}
		j.Result.URL = "http://127.0.0.1:8420/" + j.ID
		if err := j.Validate(); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		`{"frame":7, "${frame}":1, "out":["f/0007.png","${frame}"]}`,
		`{"frame":10, "${frame}":1, "out":["f/0010.png","${frame}"]}`,
	}
	if diff := cmp.Diff(want, inputs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"https://scenes.example/7.pov", "https://scenes.example/10.pov"}, files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{before}, {before, list[0].ID}}, [][]string{list[0].Needs, list[1].Needs}); diff != "" {
		t.Error(diff)
	}
	again, err := b.Jobs()
	if err != nil || again[1].ID != list[1].ID || !strings.HasPrefix(list[1].ID, batchID[:13]) || list[0].ID == list[1].ID {
		t.Errorf("%v: the ids are %s and %s", err, list[1].ID, again[1].ID)
	}
	if len(b.Job.Labels) != 1 || len(b.Job.Needs) != 1 || b.Job.Files[0].URL != "https://scenes.example/${frame}.pov" {
		t.Errorf("the batch has changed: %+v", b.Job)
	}
}

// TestBatchRepeats has the batch repeat, and none of its jobs.
func TestBatchRepeats(t *testing.T) {
	t.Parallel()
	hour := Duration(time.Hour)
	b := Batch{ID: batchID, Frames: []Frame{{Number: 1}, {Number: 2}}, Job: Job{Program: "p", Repeat: hour}, Bundle: &Job{Program: "q", Repeat: hour}}
	document, err := b.Document()
	if err != nil || document.Repeat != hour || strings.Contains(string(document.Input.Data), "repeat") {
		t.Errorf("%+v, %v", document, err)
	}
	list, err := b.Jobs()
	if err != nil || list[0].Repeat != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	e, err := b.Expander()
	if err != nil || e.Bundle().Repeat != 0 {
		t.Errorf("%v", err)
	}
}

// TestBatchValues fills in parameters of all kinds.
func TestBatchValues(t *testing.T) {
	t.Parallel()
	text := json.RawMessage(`"a \"quoted\" <ä>"`)
	matrix := []Parameter{{"size", []json.RawMessage{[]byte("1.50"), []byte("[2, 3]")}}, {"name", []json.RawMessage{text}}}
	for name, c := range map[string]struct {
		input Input
		want  []string
	}{
		"none":  {Input{}, []string{`{"frame":0,"name":"a \"quoted\" <ä>","size":1.50}`, `{"frame":1,"name":"a \"quoted\" <ä>","size":[2, 3]}`}},
		"whole": {Input{Data: json.RawMessage(`["${size}", "${name}"]`)}, []string{`[1.50, "a \"quoted\" <ä>"]`, `[[2, 3], "a \"quoted\" <ä>"]`}},
		"in":    {Input{Data: json.RawMessage(`"\"${size}\" ${name}."`)}, []string{`"\"1.50\" a \"quoted\" <ä>."`, `"\"[2, 3]\" a \"quoted\" <ä>."`}},
		"url":   {Input{URL: "http://a/${frame}?${size}"}, []string{"http://a/0?1.50", "http://a/1?[2, 3]"}},
		"plain": {Input{Data: json.RawMessage(` {"a":[1e2,"$"]} `)}, []string{` {"a":[1e2,"$"]} `, ` {"a":[1e2,"$"]} `}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := Batch{ID: batchID, Matrix: matrix, Job: Job{Program: "p", Input: c.input}}
			list, err := b.Jobs()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range list {
				got = append(got, string(list[i].Input.Data)+list[i].Input.URL)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBatchFaults(t *testing.T) {
	t.Parallel()
	two := []Frame{{Number: 1}, {Number: 2}}
	ring := []Frame{{Number: 9, Needs: []int{1}}, {Number: 1, Needs: []int{2}}, {Number: 2, Needs: []int{3}}, {Number: 3, Needs: []int{1}}}
	long := Range(0, 19, 1)
	for i := range long {
		long[i].Needs = []int{(i + 1) % 20}
	}
	data := func(text string) Batch {
		return Batch{Frames: two, Job: Job{Input: Input{Data: json.RawMessage(text)}}}
	}
	for want, b := range map[string]Batch{
		"/id: must be a lower-case UUID":                                                   {ID: "x", Frames: two},
		"/id: must be empty in the job of a batch":                                         {Frames: two, Job: Job{ID: batchID}},
		"/frames: must have at least one frame":                                            {},
		"/frames: must have at most 100000 frames, not 100001":                             {Frames: Range(1, 10_000_000, 1)},
		"/frames: must have numbers from 0 to 2147483647, not -1":                          {Frames: Range(-1, 5, 1)},
		"/frames: must not have the number 2 twice":                                        {Frames: append([]Frame{{Number: 2}}, two...)},
		"/frames: frame 1 needs frame 5, which the batch does not have":                    {Frames: []Frame{{Number: 1, Needs: []int{5}}}},
		"/frames: need one another in a circle: 4 needs 4":                                 {Frames: []Frame{{Number: 4, Needs: []int{4}}}},
		"/frames: need one another in a circle: 1 needs 2 needs 3 needs 1":                 {Frames: ring},
		"circle: … needs 13 needs 14 needs 15 needs 16 needs 17 needs 18 needs 19 needs 0": {Frames: long},
		`/frames: frame 1: the name of a value must be`:                                    {Frames: []Frame{{Number: 1, Values: map[string]json.RawMessage{"frame": []byte("1")}}}},
		"/labels/batch: is set by the batch":                                               {Frames: two, Job: Job{Labels: map[string]string{"batch": ""}}},
		"/input/data/a/1: has a ${ without the name of a value":                            data(`{"a":[1,"${"]}`),
		"/input/data/a: has a ${ without":                                                  data(`{"a":"${Frame}"}`),
		"/input/data: has ${frame:x}: write ${frame:4}":                                    data(`"${frame:x}"`),
		"/input/data: frame 1: input.data has ${b}, which is no value of the frame":        data(`"${b}"`),
		"/input/data: must be one JSON value":                                              data(`{"a":`),
		"/files/0/url: has a ${ without":                                                   {Frames: two, Job: Job{Files: []File{{Name: "a", URL: "http://a/${"}}}},
		"has the value a, which is not JSON":                                               {Frames: []Frame{{Number: 1, Values: map[string]json.RawMessage{"a": []byte("x")}}}},
		"cannot be written as JSON":                                                        {Frames: two, Job: Job{Input: Data(make(chan int))}},
	} {
		_, err := b.Jobs()
		var f *Fault
		if !errors.As(err, &f) || !strings.Contains(f.Pointer+": "+strings.TrimPrefix(f.Message, wordsOf(f.Pointer)+" "), want) {
			t.Errorf("%+v, want %q", f, want)
		}
	}
}

// wordsOf returns how a message names what a pointer points to.
func wordsOf(pointer string) string {
	name := strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
	name = strings.ReplaceAll(name, ".0", "[0]")
	return strings.ReplaceAll(name, ".1", "[1]")
}

func TestParseFrames(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"5": "[5]", "1-4": "[1 2 3 4]", "1-20:5": "[1 6 11 16]", "7,0-2,10-30:10": "[7 0 1 2 10 20 30]", "3-3": "[3]",
		"": "write a number", "a": "write a number", "-1": "write a number", "1-": "write a number", "1-2-3": "write a number", "4-1": "larger than the last",
		"1-9:0": "above 0", "5:2": "needs a range", "1-10000000": "has more than 100000 frames", "0-99999,100000": "has more than 100000 frames", "1-99999999999": "write a number",
	} {
		frames, err := ParseFrames(list)
		var numbers []int
		for i := range frames {
			numbers = append(numbers, frames[i].Number)
		}
		if got := fmt.Sprint(numbers, err); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", list, got, want)
		}
	}
}

// FuzzBatchInput checks that each input that is made is JSON, with the number of the frame.
func FuzzBatchInput(f *testing.F) {
	for _, data := range []string{`{"a":"${frame}"}`, `"x${frame:3}\u0000${v}"`, `["$${","${"]`, `"${v}"`, `{"${v}":[]}`} {
		f.Add(data, `"a\"b"`)
	}
	f.Fuzz(func(t *testing.T, data, value string) {
		b := Batch{ID: batchID, Frames: []Frame{{Number: 17, Values: map[string]json.RawMessage{"v": []byte(value)}}}, Job: Job{Input: Input{Data: json.RawMessage(data)}}}
		list, err := b.Jobs()
		if err == nil && !jsontext.Value(list[0].Input.Data).IsValid() {
			t.Errorf("%q with %q is %q", data, value, list[0].Input.Data)
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	batch := Batch{ID: batchID, Frames: Range(1, MaxFrames, 1), Job: Job{Program: "render", Input: Input{Data: json.RawMessage(`{"frame":"${frame}"}`)}}}
	for b.Loop() {
		if _, err := batch.Jobs(); err != nil {
			b.Fatal(err)
		}
	}
}
