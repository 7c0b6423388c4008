package publisher

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/internal/batchtar/batchtartest"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

type tarEntry = batchtartest.Entry

const (
	packagedBatch = `{"frames":"1-3","job":{"program":"forecast","files":[{"name":"a","url":"package:in/a"}]}}`
	tarBody       = "Content-Type: application/x-tar"
)

// withPackages has a node take packages. Like the dispatcher it records the files of a job first.
func withPackages(t *testing.T) func(*Config) {
	return func(cfg *Config) {
		cfg.Uploads = t.TempDir()
		accept := cfg.Accept
		cfg.Accept = func(ctx context.Context, documents [][]byte, submitter string) ([]ledger.Accepted, error) {
			for _, document := range documents {
				job, err := jobdoc.Decode(document)
				if err != nil {
					continue
				}
				digests, err := jobdoc.StoredFiles(&job)
				if err == nil {
					err = cfg.Ledger.Packages.Use(ctx, job.ID, digests)
				}
				if err != nil {
					return []ledger.Accepted{{Err: err}}, nil
				}
			}
			return accept(ctx, documents, submitter)
		}
	}
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// wantNoJobs demands that nothing was recorded, and that no part of a package is left.
func (b *bench) wantNoJobs() {
	b.t.Helper()
	counts, err := b.ledger.Activity.Counts(b.t.Context())
	if err != nil || counts[jobs.Queued] != 0 {
		b.t.Errorf("%v, %v; want no job", counts, err)
	}
	left, err := os.ReadDir(b.p.cfg.Uploads)
	if err != nil || len(left) > 0 {
		b.t.Errorf("%v, %v; want no files", left, err)
	}
}

// TestPostPackage submits a batch as a tar. Equal files are stored once, and need not be sent
// again.
func TestPostPackage(t *testing.T) {
	t.Parallel()
	b := newBench(t, withPackages(t))
	post := func(body, kind string, fields ...string) (*http.Response, jobs.Problem) {
		t.Helper()
		r := b.ask("POST", "/api/v1/batches", body, append(fields, kind)...)
		var p jobs.Problem
		if r.StatusCode >= 400 {
			p = decodeAs[jobs.Problem](t, r)
		}
		return r, p
	}
	whole := string(batchtartest.Make(t, tarEntry{Name: "in/", Type: tar.TypeDir}, tarEntry{Name: "in/a", Text: "text"}, tarEntry{Name: "b", Text: "text"}, tarEntry{Name: "batch.json", Text: packagedBatch}))
	r, _ := post(whole, tarBody, "Idempotency-Key: k")
	first := decodeAs[jobs.Result](t, r)
	if r.StatusCode != 201 {
		t.Fatal(r.StatusCode)
	}
	rec, err := b.ledger.Get(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	job, err := jobdoc.Decode(rec.Document)
	if err != nil {
		t.Fatal(err)
	}
	_, frames, err := jobdoc.Batch(&job, nil)
	if err != nil {
		t.Fatal(err)
	}
	if frame, err := frames.Job(2); err != nil || frame.Files[0].URL != "sha256:"+digestOf("text") {
		t.Errorf("%+v, %v", frame, err)
	}
	if r, _ := post(whole, tarBody, "Idempotency-Key: k"); r.StatusCode != 200 || decodeAs[jobs.Result](t, r).ID != first.ID {
		t.Errorf("again: %d", r.StatusCode)
	}
	file, found, err := b.ledger.Packages.Find(t.Context(), digestOf("text"))
	if err != nil || !found || file.Size != 4 {
		t.Errorf("%+v, %v", file, err)
	}
	if kinds, err := os.ReadDir(b.folder + "/store/packages"); err != nil || len(kinds) != 1 {
		t.Errorf("%d files are stored, %v", len(kinds), err)
	}

	named := func(second string) string {
		return fmt.Sprintf(`{"package":{"in/a":%q,"b":%q},%s`, digestOf("text"), digestOf(second), packagedBatch[1:])
	}
	if r, _ := post(named("text"), jsonBody); r.StatusCode != 201 {
		t.Errorf("without a file: %d", r.StatusCode)
	}
	if r, p := post(named("new"), jsonBody); r.StatusCode != 422 || len(p.Missing) != 1 || p.Missing[0] != digestOf("new") || !strings.Contains(p.Detail, "not in the store") {
		t.Errorf("with a file that is missing: %d %+v", r.StatusCode, p)
	}
	if r, p := post(string(batchtartest.Make(t, tarEntry{Name: "batch.json", Text: named("new")}, tarEntry{Name: "b", Text: "new"})), tarBody); r.StatusCode != 201 {
		t.Errorf("with that file: %d %+v", r.StatusCode, p)
	}
	if r, p := post(string(batchtartest.Make(t, tarEntry{Name: "batch.json", Text: named("new")}, tarEntry{Name: "b", Text: "newer"})), tarBody); r.StatusCode != 422 || !strings.Contains(p.Detail, `entry "b" has the SHA-256`) {
		t.Errorf("with another file: %d %+v", r.StatusCode, p)
	}
}

// TestPostPackageFaults refuses hostile tars and wrong batches in them, and records nothing.
func TestPostPackageFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, withPackages(t))
	good := tarEntry{Name: "batch.json", Text: packagedBatch}
	in := func(text string) []tarEntry {
		return []tarEntry{{Name: "in/a"}, {Name: "batch.json", Text: text}}
	}
	for name, test := range map[string]struct {
		entries         []tarEntry
		pointer, detail string
	}{
		"traversal":      {[]tarEntry{good, {Name: "../../etc/cron.d/a", Text: "x"}}, "", `its entry "../../etc/cron.d/a" has ".."`},
		"link":           {[]tarEntry{good, {Name: "in/a", Type: tar.TypeSymlink, Link: "/etc/shadow"}}, "", `its entry "in/a" is a symbolic link`},
		"twice":          {[]tarEntry{good, {Name: "in/a"}, {Name: "in/a"}}, "", `its entry "in/a" is there twice`},
		"no batch":       {[]tarEntry{{Name: "in/a"}}, "", "has no batch.json"},
		"file not there": {[]tarEntry{good, {Name: "in/b"}}, "/job/files/0/url", `job.files[0].url names the file "in/a", which is not in the package`},
		"of one frame":   {in(strings.Replace(packagedBatch, "in/a", "in/${frame}", 1)), "/job/files/0/url", `frame 1: files[0].url names the file "in/1"`},
		"of the bundle":  {in(`{"bundle":{"program":"forecast","input":{"url":"package:x"}},` + packagedBatch[1:]), "/bundle/input/url", `bundle.input.url names the file "x"`},
		"bad name":       {in(`{"package":{"../x":"` + digestOf("") + `"},` + packagedBatch[1:]), "/package/..~1x", `has ".." in its name`},
		"bad digest":     {in(`{"package":{"x":"0"},` + packagedBatch[1:]), "/package/x", "package.x must be a SHA-256 digest"},
		"no package":     {in(`{"package":[],` + packagedBatch[1:]), "/package", "package must be an object"},
		"bad batch":      {in(strings.Replace(packagedBatch, "forecast", "../x", 1)), "/job/program", "job.program must"},
		"too many":       {in(strings.Replace(packagedBatch, `"1-3"`, `"1-100001"`, 1)), "/frames", "100000 frames"},
		"too much work":  {in(manyNames()), "/job/files/20/url", "is one of more than 2000000 names"},
	} {
		r := b.ask("POST", "/api/v1/batches", string(batchtartest.Make(t, test.entries...)), tarBody)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 422 || p.Pointer != test.pointer || !strings.Contains(p.Detail, test.detail) {
			t.Errorf("%s: %d %+v, want %q at %q", name, r.StatusCode, p, test.detail, test.pointer)
		}
	}
	if r := b.ask("POST", "/api/v1/batches", "", tarBody, "Content-Encoding: gzip"); r.StatusCode != 415 {
		t.Errorf("compressed: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/jobs", "", tarBody); r.StatusCode != 415 {
		t.Errorf("as a job: %d", r.StatusCode)
	}
	if r := newBench(t).ask("POST", "/api/v1/batches", "", tarBody); r.StatusCode != 415 {
		t.Errorf("to a node that takes none: %d", r.StatusCode)
	}
	b.wantNoJobs()
}

// manyNames is a batch whose frames have so many files of their own that looking them up takes
// long.
func manyNames() string {
	var files []string
	for i := range 25 {
		files = append(files, fmt.Sprintf(`{"name":"%d","url":"package:${frame}/%[1]d"}`, i))
	}
	return `{"frames":"1-100000","job":{"program":"forecast","files":[` + strings.Join(files, ",") + `]}}`
}

// TestPackageCutOff breaks an upload off in a file. Nothing uses what came before it, which another
// try finds in the store.
func TestPackageCutOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, withPackages(t))
	whole := batchtartest.Make(t, tarEntry{Name: "batch.json", Text: packagedBatch}, tarEntry{Name: "in/a", Text: "text"}, tarEntry{Name: "b", Text: strings.Repeat("x", 1<<20)})
	base := b.listen()
	gone := errors.New("the client is gone")
	body, in := io.Pipe()
	go func() {
		_, _ = in.Write(whole[:len(whole)/2])
		in.CloseWithError(gone)
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v1/batches", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-tar")
	if r, err := http.DefaultClient.Do(request); !errors.Is(err, gone) {
		t.Fatal(r, err)
	}
	r := b.ask("POST", "/api/v1/batches", string(whole[:len(whole)/2]), tarBody)
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 422 || !strings.Contains(p.Detail, "the tar is cut off") {
		t.Errorf("%d %+v", r.StatusCode, p)
	}
	b.wantNoJobs()
	if _, found, err := b.ledger.Packages.Find(t.Context(), digestOf("text")); !found || err != nil {
		t.Errorf("the first file: %t, %v", found, err)
	}
	if r := b.ask("POST", "/api/v1/batches", string(whole), tarBody); r.StatusCode != 201 {
		t.Errorf("again: %d", r.StatusCode)
	}
}

// TestPackageWithoutRoom stops an upload once a disk of the node is full, and refuses the next ones
// before they come.
func TestPackageWithoutRoom(t *testing.T) {
	t.Parallel()
	var looks atomic.Int32
	b := newBench(t, withPackages(t), func(cfg *Config) {
		cfg.Room = func() error {
			if looks.Add(1) > 1 {
				return httpio.Unavailable("the disk is full")
			}
			return nil
		}
	})
	large := string(batchtartest.Make(t, tarEntry{Name: "batch.json", Text: packagedBatch}, tarEntry{Name: "in/a", Text: strings.Repeat("x", 65<<20)}))
	for range 2 {
		r := b.ask("POST", "/api/v1/batches", large, tarBody)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 503 || p.Detail != "the disk is full" || r.Header.Get("Retry-After") == "" {
			t.Errorf("%d %+v", r.StatusCode, p)
		}
	}
	b.wantNoJobs()
	if _, err := os.Stat(b.folder + "/store/packages"); !os.IsNotExist(err) {
		t.Errorf("a part of a file is stored: %v", err)
	}
}

// TestPackagesAtOnce receives a few packages at a time.
func TestPackagesAtOnce(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 10)
	b := newBench(t, withPackages(t), func(cfg *Config) { cfg.Room = func() error { begun <- struct{}{}; return nil } })
	whole := batchtartest.Make(t, tarEntry{Name: "batch.json", Text: packagedBatch}, tarEntry{Name: "in/a"})
	answers := make(chan int, 4)
	var rest []*io.PipeWriter
	for range 4 {
		body, in := io.Pipe()
		rest = append(rest, in)
		go func() {
			r, err := http.Post(b.listen()+"/api/v1/batches", "application/x-tar", body)
			if err != nil {
				t.Error(err)
				answers <- 0
				return
			}
			r.Body.Close()
			answers <- r.StatusCode
		}()
	}
	for range 4 {
		<-begun
	}
	r := b.ask("POST", "/api/v1/batches", string(whole), tarBody)
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 503 || !strings.Contains(p.Detail, "4 packages already") {
		t.Errorf("%d %+v", r.StatusCode, p)
	}
	for _, in := range rest {
		if _, err := io.Copy(in, bytes.NewReader(whole)); err != nil {
			t.Error(err)
		}
		in.Close()
	}
	for range 4 {
		if status := <-answers; status != 201 {
			t.Error(status)
		}
	}
}
