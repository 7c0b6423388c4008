package worker

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestHugeNumbers sends huge numbers by each way to a schema. Each fails its own job.
// Without a schema they stay as they are.
func TestHugeNumbers(t *testing.T) {
	t.Parallel()
	huge := []string{"1e1000001", "-1e-1000001", "1e999999", strings.Repeat("7", 1001)}
	keywords := []string{`"type":"integer"`, `"minimum":1`, `"multipleOf":2`, `"const":1`, `"enum":[1]`, `"uniqueItems":true`}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"n":%s}`, r.URL.Query().Get("n")) })
	r := newFixture(t)
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

// TestHostileSchema installs programs whose schemas cannot be used. Each is refused
// with a reason, and the others stay.
func TestHostileSchema(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
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

// TestEndlessChecks has values and schemas whose check takes too long. Timeout, cancel
// and the end of the node stop the check.
func TestEndlessChecks(t *testing.T) {
	t.Parallel()
	// Each level is checked twice for each of the two alternatives.
	const tree = `{"$ref":"#/$defs/t","$defs":{"t":{"anyOf":[{"items":{"$ref":"#/$defs/t"},"maxItems":0},{"allOf":[
		{"items":{"$ref":"#/$defs/t"}},{"items":{"$ref":"#/$defs/t"}}]}]}}}`
	value := strings.Repeat("[", 60) + strings.Repeat("]", 60)
	for _, side := range []string{"input", "result"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Slots, c.ShutdownGrace = 4, time.Millisecond })
			r.installFolder("twice", "cat", `{"`+side+`":`+tree+`}`)
			n := r.start()
			submit := func(timeout time.Duration) string {
				j := job("twice")
				j.Input.Data, j.Timeout = []byte(value), jobs.Duration(timeout)
				return r.submit(j)
			}
			late, cancelled, interrupted := submit(300*time.Millisecond), submit(0), submit(0)
			if e := r.await(late, jobs.Failed).Error; e.Class != jobs.OutcomeTimeout || !strings.Contains(e.Message, "the check of its data took too long") {
				t.Errorf("error is %+v", e)
			}
			r.await(cancelled, jobs.Running)
			_, err := r.ledger.Act(t.Context(), ledger.VerbCancel, "", []ledger.Target{{ID: cancelled}})
			r.must(err)
			r.await(cancelled, jobs.Cancelled)
			r.await(interrupted, jobs.Running)
			n.stop()
			n.wait()
			if outcomes := r.outcomes(interrupted); r.get(interrupted).State != jobs.Queued || len(outcomes) != 1 || outcomes[0] != jobs.OutcomeInterrupted {
				t.Errorf("outcomes are %v", outcomes)
			}
		})
	}
}

// TestLargeChecks has values whose check once took minutes and gigabytes.
func TestLargeChecks(t *testing.T) {
	t.Parallel()
	zeros := "[" + strings.Repeat("0,", 4<<20) + "0]"
	exponents := "[" + strings.Repeat("1e999999,", 4000) + "1]"
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/zeros" {
			fmt.Fprint(w, zeros)
			return
		}
		fmt.Fprint(w, exponents)
	})
	r := newFixture(t)
	r.installFolder("numbers", "wc -c", `{"input":{"items":{"type":"integer","minimum":0,"multipleOf":1}}}`)
	r.installFolder("unique", "cat", `{"input":{"uniqueItems":true}}`)
	r.start()
	submit := func(program, path string) string {
		j := job(program)
		j.Input = jobs.Input{URL: url + path}
		return r.submit(j)
	}
	good, twice, bad := submit("numbers", "/zeros"), submit("unique", "/zeros"), submit("numbers", "/exponents")
	r.await(good, jobs.Succeeded)
	if e := r.await(twice, jobs.Failed).Error; e.Class != jobs.OutcomeInput || !strings.Contains(e.Message, "index 1 is equal") {
		t.Errorf("error is %+v", e)
	}
	if e := r.await(bad, jobs.Failed).Error; e.Class != jobs.OutcomeInput || e.Pointer != "/0" {
		t.Errorf("error is %+v", e)
	}
}
