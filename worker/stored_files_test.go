package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// sendFile puts a file into the store, as one of a package.
func (r *fixture) sendFile(text string) (digest, path string) {
	r.t.Helper()
	sum := sha256.Sum256([]byte(text))
	f, have, err := r.ledger.Packages.Begin(r.t.Context(), hex.EncodeToString(sum[:]))
	r.must(err)
	key := store.PackageKey(f.SHA256, f.Number)
	if !have {
		r.must(r.store.Create(r.t.Context(), key, []byte(text)))
	}
	f.Size = int64(len(text))
	_, err = r.ledger.Packages.Record(r.t.Context(), f)
	r.must(err)
	return f.SHA256, filepath.Join(r.dir, "store", key)
}

// TestStoredFiles gives a program files that are in the store, without a server. What is missing
// or damaged fails the job, and can be sent again.
func TestStoredFiles(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("concat", `cat >in; printf '"%s"' "$(cat in inputs/* | tr -dc a-zA-Z0-9)"`)
	r.start()
	number, _ := r.sendFile("12")
	text, _ := r.sendFile("text")
	damaged, path := r.sendFile("damaged")
	r.must(os.WriteFile(path, []byte("dAmaged"), 0o600))
	short, shortPath := r.sendFile("cut off")
	r.must(os.Truncate(shortPath, 3))
	with := func(url string, change ...func(*jobs.File)) jobs.Job {
		j := job("concat")
		j.Files = []jobs.File{{Name: "a", URL: url}}
		for _, f := range change {
			f(&j.Files[0])
		}
		return j
	}
	good := with("sha256:"+text, func(f *jobs.File) { f.SHA256, f.Size = text, 4 })
	good.Input = jobs.Input{URL: "sha256:" + number}
	r.submit(good)
	r.await(good.ID, jobs.Succeeded)
	result := r.result(good.ID)
	if string(result.Result) != `"12text"` || result.Provenance.Inputs[1] != (jobs.Source{Name: "a", URL: "sha256:" + text, SHA256: text, Size: 4}) {
		t.Errorf("%s %+v", result.Result, result.Provenance)
	}
	for want, j := range map[string]jobs.Job{
		"sha256:" + strings.Repeat("0", 64) + ": it is not in the store":            with("sha256:" + strings.Repeat("0", 64)),
		"sha256:" + damaged + ": it is damaged in the store":                        with("sha256:" + damaged),
		"sha256:" + short + ": it is damaged in the store":                          with("sha256:" + short),
		fmt.Sprintf("sha256:%s: the job says that its SHA-256 is %s", text, number): with("sha256:"+text, func(f *jobs.File) { f.SHA256 = number }),
		"it is 4 bytes long, and the job says 5":                                    with("sha256:"+text, func(f *jobs.File) { f.Size = 5 }),
		"it is larger than 3 B":                                                     with("sha256:"+text, func(f *jobs.File) { f.Size = 3 }),
	} {
		r.submit(j)
		r.await(j.ID, jobs.Failed)
		if e := r.get(j.ID).Error; e.Class != jobs.OutcomeInput || e.Pointer != "/files/0/url" || !strings.Contains(e.Message, want) {
			t.Errorf("%+v, want %s", e, want)
		}
	}
	for _, again := range []string{"damaged", "cut off"} {
		digest, _ := r.sendFile(again)
		j := with("sha256:" + digest)
		r.submit(j)
		r.await(j.ID, jobs.Succeeded)
	}
}
