package worker

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestHugeNumbers sends numbers by each way that leads to a schema. Each fails
// its own job; without a schema they stay as they are.
func TestHugeNumbers(t *testing.T) {
	t.Parallel()
	huge := []string{"1e1000001", "-1e-1000001", "1e999999", strings.Repeat("7", 1001)}
	keywords := []string{`"type":"integer"`, `"minimum":1`, `"multipleOf":2`, `"const":1`, `"enum":[1]`, `"uniqueItems":true`}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"n":%s}`, r.URL.Query().Get("n")) })
	r := newRig(t)
	for i, keyword := range keywords {
		schema := `{"properties":{"n":{` + keyword + `,"items":{` + keyword + `}}}}`
		r.installFolder(fmt.Sprint("in", i), "cat", `{"input":`+schema+`}`)
		r.installFolder(fmt.Sprint("out", i), "cat", `{"result":`+schema+`}`)
	}
	r.install("bare", "cat")
	r.start()
	submit := func(program string, in jobs.Input) string {
		j := job(program)
		j.Input, j.Attempts = in, 1
		return r.submit(j)
	}
	want := map[string]jobs.Outcome{}
	for i := range keywords {
		for _, n := range huge {
			data := jobs.Input{Data: []byte(`{"n":` + n + `}`)}
			want[submit(fmt.Sprint("in", i), data)] = jobs.OutcomeInput
			want[submit(fmt.Sprint("out", i), data)] = jobs.OutcomeError
			want[submit(fmt.Sprint("in", i), jobs.Input{URL: url + "?n=" + n})] = jobs.OutcomeInput
		}
	}
	data := `{"n":[1e1000001,-1e-1000001,1.50e+0]}`
	bare := submit("bare", jobs.Input{Data: []byte(data)})
	for id, class := range want {
		e := r.await(id, jobs.Failed).Error
		if e.Class != class || !strings.Contains(e.Message, "/n: the number") || !strings.HasSuffix(e.Pointer, "/n") {
			t.Errorf("error is %+v, want class %s", e, class)
		}
	}
	r.await(bare, jobs.Succeeded)
	if got := string(r.result(bare).Result); got != data {
		t.Errorf("result is %s, want %s", got, data)
	}
}

// TestHostileSchema installs programs whose schemas cannot be used. Each is
// refused in words, and the others stay.
func TestHostileSchema(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.install("good", "cat")
	dir := filepath.Join(r.cfg.Programs, "bad")
	for _, schema := range []string{
		`{"maxLength":1e1000001}`, `{"properties":{"a":{"minimum":-1e1000001}}}`, `{"enum":[1,[1e1000001]]}`, `{"const":1e-1000001}`,
		`{"multipleOf":1e-1000001}`, `{"maxItems":1e1000001}`, `{"$ref":"#"}`, strings.Repeat(`{"not":`, 900) + "{}" + strings.Repeat("}", 900),
	} {
		for _, member := range []string{"input", "result"} {
			r.must(os.RemoveAll(dir))
			r.installFolder("bad", "cat", `{"`+member+`":`+schema+`}`)
			list, err := Inspect(r.cfg.Programs)
			r.must(err)
			if len(list) != 2 || list[0].Err == nil || !strings.Contains(list[0].Err.Error(), "program.json: "+member) || list[1].Err != nil {
				t.Errorf("%s %s: %v", member, schema, list)
			}
		}
	}
	r.start()
	r.await(r.submit(job("good")), jobs.Succeeded)
}
