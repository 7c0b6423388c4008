package jobdoc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestKeepInADocument(t *testing.T) {
	t.Parallel()
	document := func(keep string) []byte {
		id := jobs.NewID()
		return []byte(`{"id":"` + id + `","program":"p","input":{"data":1},"result":{"url":"https://r.example/` + id + `"},"keep":` + keep + `}`)
	}
	for text, want := range map[string]string{
		`"30d"`: "30d", `"forever"`: "forever", `null`: "", `{"succeeded":"90d","failed":"1h"}`: "succeeded=90d,failed=1h0m0s",
		`{"cancelled":"forever"}`: "cancelled=forever", `{"succeeded":"1d","failed":null}`: "succeeded=1d",
	} {
		job, err := jobdoc.Decode(document(text))
		if err != nil || job.Keep.String() != want {
			t.Errorf("%s is %q, %v; want %q", text, job.Keep, err, want)
			continue
		}
		written, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		again, err := jobdoc.Decode(written)
		if err != nil || again.Keep != job.Keep {
			t.Errorf("%s is written %s: %+v, %v", text, written, again.Keep, err)
		}
	}
	for _, text := range []string{`30`, `"0"`, `"-1d"`, `""`, `"30"`, `true`, `[]`, `["1d"]`, `{}`, `{"running":"1d"}`, `{"failed":1}`, `{"failed":"0s"}`, `{"failed":"x"}`, `"` + strings.Repeat("1", 70) + `d"`} {
		if _, err := jobdoc.Decode(document(text)); err == nil || !strings.Contains(err.Error(), "keep") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
