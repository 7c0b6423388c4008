package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/internal/batchtar/batchtartest"
	"github.com/runnerbean/runnerbean/jobs"
)

// packageOf writes a tar of batch.json and files, names and texts in turn.
func (p *process) packageOf(batch string, files ...string) (path string) {
	p.t.Helper()
	entries := []batchtartest.Entry{{Name: "batch.json", Text: batch}}
	for i := 0; i < len(files); i += 2 {
		entries = append(entries, batchtartest.Entry{Name: files[i], Text: files[i+1]})
	}
	path = filepath.Join(p.t.TempDir(), "batch.tar")
	if err := os.WriteFile(path, batchtartest.Make(p.t, entries...), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// packageFiles returns the texts of the files of packages in the store.
func (p *process) packageFiles() (texts []string) {
	p.t.Helper()
	root := filepath.Join(p.folder, "data", "store", "packages")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		texts = append(texts, string(text))
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return texts
}

// TestSubmitPackage submits tars with the command line. Many frames get the files; equal ones are
// sent and stored once.
func TestSubmitPackage(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.install("draw", `{ cat; cat inputs/scene.pov inputs/own.txt; } >out/picture.txt; echo 1`)
	p.install("film", `{ cat inputs/title; for n in 1 2 3; do cat "inputs/needs/$n/files/picture.txt"; done; } >out/film.txt; echo 1`)
	p.until("the programs", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"film"`) })
	document := `{"job":{"program":"draw","input":{"url":"package:in/points.json"},"files":[
		{"name":"scene.pov","url":"package:scenes/a forest.pov"},{"name":"own.txt","url":"package:own/${frame:4}.txt"}]},
		"frames":"1-3","bundle":{"program":"film","files":[{"name":"title","url":"package:title"}]}}`
	first := p.packageOf(document, "in/points.json", "[1]", "scenes/a forest.pov", " forest", "own/0001.txt", " one\n", "own/0002.txt", " two\n",
		"own/0003.txt", " one\n", "title", "Trees\n")
	var r jobs.Result
	if err := json.Unmarshal([]byte(p.must("submit", first, "--wait")), &r); err != nil {
		t.Fatal(err)
	}
	var s batch.Summary
	if err := r.Decode(&s); err != nil || s.Succeeded != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if got := p.text("/" + jobs.BundleID(r.ID) + "/files/film.txt"); got != "Trees\n[1] forest one\n[1] forest two\n[1] forest one\n" {
		t.Errorf("the film is %q", got)
	}
	if got := p.packageFiles(); len(got) != 5 {
		t.Errorf("the store has the files %q", got)
	}
	frame := p.final(p.url + "/" + jobs.FrameID(r.ID, 1))
	if in := frame.Provenance.Inputs; len(in) != 3 || in[0].URL != "sha256:"+in[0].SHA256 || in[1].Name != "scene.pov" || in[1].Size != 7 {
		t.Errorf("%+v", in)
	}

	second := p.packageOf(strings.Replace(document, "1-3", "1-2", 1), "in/points.json", "[2]", "scenes/a forest.pov", " forest", "own/0001.txt", " one\n",
		"own/0002.txt", " two\n", "title", "Trees\n")
	p.must("submit", second, "--wait")
	if got := p.packageFiles(); len(got) != 6 || strings.Count(strings.Join(got, ""), "forest") != 1 {
		t.Errorf("the store has the files %q", got)
	}
	again := p.must("submit", second, "--wait")
	if err := json.Unmarshal([]byte(again), &r); err != nil || r.State != jobs.Succeeded {
		t.Errorf("%s, %v", again, err)
	}
}

// TestPackageOfAKilledNode kills the node while a package comes. The store has the files that had
// come, and there is no job. Then the same package is taken.
func TestPackageOfAKilledNode(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.install("count", "cat >/dev/null; wc -c <inputs/large")
	path := p.packageOf(`{"job":{"program":"count","input":{"url":"package:small"},"files":[{"name":"large","url":"package:large"}]},"frames":"1-2"}`,
		"small", "1", "large", strings.Repeat("0123456789abcdef", 200_000))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body, sender := io.Pipe()
	answered := make(chan error, 1)
	go func() {
		answer, err := http.Post(p.url+"/api/v1/batches", "application/x-tar", body)
		if err == nil {
			answer.Body.Close()
			err = fmt.Errorf("the node answers %s", answer.Status)
		}
		answered <- err
	}()
	if _, err := sender.Write(text[:len(text)-1_000_000]); err != nil {
		t.Fatal(err)
	}
	p.until("the first file", func() bool { return len(p.packageFiles()) == 1 })
	p.end(syscall.SIGKILL)
	sender.Close()
	if err := <-answered; strings.Contains(err.Error(), "answers") {
		t.Error(err)
	}
	p.start("worker")
	if got := p.packageFiles(); len(got) != 1 || got[0] != "1" {
		t.Errorf("the store has the files %.100q", got)
	}
	if text := p.text("/api/v1/jobs"); !strings.Contains(text, `"jobs":[]`) {
		t.Errorf("there are jobs: %s", text)
	}
	if left, err := filepath.Glob(filepath.Join(p.folder, "data", "*", "package-*")); err != nil || len(left) > 0 {
		t.Errorf("%q %v is left", left, err)
	}
	p.until("the program", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"count"`) })
	var r jobs.Result
	if err := json.Unmarshal([]byte(p.must("submit", path, "--wait")), &r); err != nil || r.State != jobs.Succeeded {
		t.Fatal(r, err)
	}
	if frame := p.final(p.url + "/" + jobs.FrameID(r.ID, 2)); string(frame.Result) != "3200000" {
		t.Errorf("%s", frame.Result)
	}
	if got := p.packageFiles(); len(got) != 2 {
		t.Errorf("the store has %d files", len(got))
	}
}

// TestBadPackage refuses tars, each with an error that names the place, and records nothing.
func TestBadPackage(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	document := `{"job":{"program":"echo","files":[{"name":"a","url":"package:a"}]},"frames":"1-3"}`
	job := func(url string) string {
		file := filepath.Join(t.TempDir(), "job.json")
		if err := os.WriteFile(file, fmt.Appendf(nil, `{"program":"echo","input":{"data":1},"files":[{"name":"a","url":%q}]}`, url), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for words, path := range map[string]string{
		`its entry "../a" has ".." in its name`:        p.packageOf(document, "../a", "x"),
		`its entry "/etc/a" has an absolute path`:      p.packageOf(document, "/etc/a", "x"),
		`names the file "a", which is not in the pack`: p.packageOf(document, "b", "x"),
		`unknown field "frame" (at /job/frame)`:        p.packageOf(`{"job":{"program":"echo","frame":1},"frames":"1-3"}`),
		`must be a number, a range such as`:            p.packageOf(`{"job":{"program":"echo"},"frames":[true]}`, "b", "x"),
		`a program "ecko"`:                             p.packageOf(strings.Replace(document, "echo", "ecko", 1), "a", "x"),
		`must not name a file of a package`:            job("package:a"),
		`that it names are not in the store`:           job("sha256:" + strings.Repeat("0", 64)),
		`must be an absolute http or https URL`:        job("sha256:../a"),
	} {
		p.expect(1, words, "submit", path)
	}
	if text := p.text("/api/v1/jobs"); !strings.Contains(text, `"jobs":[]`) {
		t.Errorf("there are jobs: %s", text)
	}
}
