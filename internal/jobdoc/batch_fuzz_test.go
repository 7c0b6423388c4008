package jobdoc

import (
	"encoding/json"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// FuzzBatch reads the input of a batch. What is taken makes frames whose documents are taken
// as well, or name the frame that has a fault.
func FuzzBatch(f *testing.F) {
	for _, seed := range []string{
		`{"job":{"program":"p","input":{"data":{"n":"${frame}","s":"a${x}b"}}},"frames":[{"number":1,"values":{"x":[1,"\u0000"]},"needs":[2]},"2-9:3",2]}`,
		`{"job":{"program":"p","input":{"url":"http://a.example/${frame:4}?$${"},"files":[{"name":"f","url":"http://b.example/${m}"}]},"matrix":{"m":[1,"x"],"k":[null]},"max_running":2}`,
		`{"job":{"program":"p","timeout":"1m","attempts":3},"frames":"1-3","bundle":{"program":"q","needs_failed":"run"}}`,
		`{"job":{"program":"p"},"frames":"package:f","package":{"f":"` + someDigest + `"}}`, `{"job":{"program":"batch"},"frames":[]}`, `[]`, `{"frames":"0-99999"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if !json.Valid(input) {
			return
		}
		job := jobs.Job{ID: batchOfTests, Program: jobs.BatchProgram, Input: jobs.Input{Data: input}}
		batch, expander, err := Batch(&job, func(string) ([]byte, error) { return []byte(`["1-3",{"number":9,"values":{"x":1},"needs":[1]}]`), nil })
		if err != nil {
			return
		}
		if expander.Len() == 0 || expander.Len() > jobs.MaxFrames || batch.ID != batchOfTests {
			t.Fatalf("%d frames", expander.Len())
		}
		for i := range min(expander.Len(), 20) {
			frame, err := expander.Job(i)
			if err != nil {
				t.Fatalf("frame %d: %v", expander.Frame(i).Number, err)
			}
			frame.Result.URL = "http://a.example/" + frame.ID
			document, err := json.Marshal(frame)
			if err != nil {
				continue // for instance a text that is not UTF-8
			}
			if read, err := Decode(document); err == nil && (read.ID != frame.ID || read.Program != frame.Program) {
				t.Fatalf("%s became %+v", document, read)
			}
		}
	})
}
