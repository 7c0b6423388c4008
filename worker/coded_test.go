package worker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/runnerbean/runnerbean/jobs"
)

// gzipped serves text as gzip, whatever the request accepts.
func gzipped(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		coding := "gzip"
		if r.URL.Path == "/br" {
			coding = "br"
		}
		w.Header().Set("Content-Encoding", coding)
		if r.URL.Path == "/cut" {
			w.Write(b.Bytes()[:b.Len()-4])
			return
		}
		w.Write(b.Bytes())
	})
}

// TestCodedInputs checks that a program gets the decoded input, and that size and
// digest are of the decoded input.
func TestCodedInputs(t *testing.T) {
	t.Parallel()
	text := []byte(`{"n":[` + strings.Repeat("1,", 10_000) + `1]}`)
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	url, bomb := gzipped(t, text), gzipped(t, bytes.Repeat([]byte("1"), 50<<20))
	r := newFixture(t, func(c *Config) { c.Slots, c.MaxInput = 4, 64<<10 })
	r.install("cat", "cat")
	r.install("file", "sha256sum <inputs/a | sed 's/\\([0-9a-f]*\\).*/\"\\1\"/'")
	r.start()
	good := job("cat")
	good.Input = jobs.Input{URL: url, SHA256: digest}
	file := job("file")
	file.Files = []jobs.File{{Name: "a", URL: url, SHA256: digest, Size: int64(len(text))}}
	r.submit(good)
	r.submit(file)
	r.await(good.ID, jobs.Succeeded)
	if got := r.result(good.ID); string(got.Result) != string(text) || got.Provenance.Inputs[0].Size != int64(len(text)) || got.Provenance.Inputs[0].SHA256 != digest {
		t.Errorf("%d bytes from %+v", len(got.Result), got.Provenance)
	}
	r.await(file.ID, jobs.Succeeded)
	if got := string(r.result(file.ID).Result); got != `"`+digest+`"` {
		t.Errorf("the file has %s", got)
	}
	for want, in := range map[string]jobs.Input{
		"larger than 64 KiB":               {URL: bomb},
		`Content-Encoding "br"`:            {URL: url + "/br"},
		"ends too early":                   {URL: url + "/cut"},
		"once its Content-Encoding is dec": {URL: url, SHA256: strings.Repeat("0", 64)},
	} {
		j := job("cat")
		j.Input = in
		r.submit(j)
		if e := r.await(j.ID, jobs.Failed).Error; e.Class != jobs.OutcomeInput || !strings.Contains(e.Message, want) {
			t.Errorf("error is %+v, want %s", e, want)
		}
	}
}
