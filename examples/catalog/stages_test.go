package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// runIn runs a stage in a folder with inputs and out.
func runIn(t *testing.T, stage, folder, stdin string) (stdout, events string, err error) {
	t.Helper()
	var out, told bytes.Buffer
	p := place{stdin: strings.NewReader(stdin), stdout: &out, events: &told, inputs: filepath.Join(folder, "inputs"), out: filepath.Join(folder, "out")}
	if err := os.MkdirAll(p.out, 0o700); err != nil {
		t.Fatal(err)
	}
	err = stages[stage](p)
	return out.String(), told.String(), err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	part := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"url":"http://lists.example/%s","sha256":"%064d","size":10}`, id, id, 1)
	}
	out, events, err := runIn(t, "catalog", t.TempDir(), `{"source":"a test","parts":[`+part("a-1")+`,`+part("a-2")+`]}`)
	if err != nil || out != `{"parts":2,"source":"a test"}`+"\n" {
		t.Errorf("%s, %v", out, err)
	}
	lines := strings.Split(strings.TrimSpace(events), "\n")
	if len(lines) != 5 || !strings.Contains(lines[3], `"needs":["key:fetch 1"]`) {
		t.Errorf("%s", events)
	}
	want := `{"enqueue":{"key":"aggregate","program":"catalog-aggregate","input":{"data":{"source":"a test","chunks":["a-1","a-2"]}},"needs":["key:parse 0","key:parse 1"],"needs_failed":"run"}}`
	if diff := cmp.Diff(want, lines[4]); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct{ input, want string }{
		"nothing":    {"", "the index"},
		"no parts":   {`{"source":"","parts":[]}`, "parts: the index must have 1 to 4000, and has 0"},
		"unknown":    {`{"source":"","parts":[` + part("a") + `],"more":1}`, "more"},
		"twice":      {`{"source":"","parts":[` + part("a") + `,` + part("a") + `]}`, "parts/1/id"},
		"a path":     {`{"source":"","parts":[` + part("../a") + `]}`, "parts/0/id"},
		"a file":     {strings.Replace(`{"source":"","parts":[`+part("a")+`]}`, "http:", "file:", 1), "parts/0/url"},
		"no digest":  {strings.Replace(`{"source":"","parts":[`+part("a")+`]}`, "0001", "000x", 1), "parts/0/sha256"},
		"large":      {strings.Replace(`{"source":"","parts":[`+part("a")+`]}`, `"size":10`, `"size":1e9`, 1), "size"},
		"many":       {`{"source":"","parts":[` + strings.Repeat(`{},`, maxParts) + `{}]}`, "has 4001"},
		"too large":  {strings.Repeat(" ", maxInput+1), "larger than"},
		"long words": {`{"source":"` + strings.Repeat("x", 201) + `","parts":[` + part("a") + `]}`, "source"},
	} {
		if out, events, err := runIn(t, "catalog", t.TempDir(), c.input); !errors.Is(err, errData) || !strings.Contains(err.Error(), c.want) || out+events != "" {
			t.Errorf("%s: %v, %s%s", name, err, out, events)
		}
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "inputs", "packages"), "Package: a\n\n")
	out, _, err := runIn(t, "catalog-fetch", folder, `{"id":"a-1","of":2}`)
	if err != nil || out != `{"bytes":12,"chunk":"a-1","lines":2}`+"\n" {
		t.Errorf("%s, %v", out, err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "out", "packages")); string(text) != "Package: a\n\n" {
		t.Errorf("%q, %v", text, err)
	}
	for _, text := range []string{"<html>", "Package\x00"} {
		write(t, filepath.Join(folder, "inputs", "packages"), text)
		if _, _, err := runIn(t, "catalog-fetch", folder, `{"id":"a-1","of":2}`); !errors.Is(err, errData) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAggregate adds up one good result, one of a failed job and one of a deleted job.
func TestAggregate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	needs := filepath.Join(folder, "inputs", "needs")
	write(t, filepath.Join(needs, "0", "result.json"), `{"id":"x","state":"succeeded","node":"<b>n1","started":"2026-11-28T00:00:00Z","finished":"2026-11-28T00:00:02Z","artifacts":[],
		"result":{"records":10,"bad":1,"kib":2097152,"sections":{"a":{"packages":10,"kib":2097152}},"architectures":{"all":{"packages":10,"kib":2097152}},"largest":[],"sizes":[0,10],"faults":[]}}`)
	write(t, filepath.Join(needs, "1", "result.json"), `{"id":"y","state":"failed","error":{"class":"failed","message":"no"}}`)
	const input = `{"source":"a test","chunks":["a","b","c"]}`
	out, _, err := runIn(t, "catalog-aggregate", folder, input)
	for _, want := range []string{`"records":10`, `"gib":2,`, `"failed":["b","c"]`, `"chunks":1,`, `"chunks":1,"records":10,"seconds":2,"records_per_second":5}]`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in %s, %v", want, out, err)
		}
	}
	for _, name := range []string{"sections.svg", "sizes.svg", "throughput.svg"} {
		text, err := os.ReadFile(filepath.Join(folder, "out", name))
		if err != nil || !wellFormed(text) || bytes.Contains(text, []byte("NaN")) {
			t.Errorf("%s: %v, %s", name, err, text)
		}
	}
	for name, result := range map[string]string{
		"unknown": `{"records":1,"x":1}`, "negative": `{"records":-1}`, "a name": `{"records":1,"sections":{"<b>":{"packages":1,"kib":1}}}`,
		"long": `{"sizes":[` + strings.Repeat("1,", maxSizes) + `1]}`, "an array": `[]`, "no JSON": `{`, "negative sizes": `{"sizes":[-1]}`,
	} {
		write(t, filepath.Join(needs, "0", "result.json"), `{"state":"succeeded","result":`+result+`}`)
		if _, _, err := runIn(t, "catalog-aggregate", folder, input); !errors.Is(err, errData) || !strings.Contains(err.Error(), "chunk a") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func wellFormed(text []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); err != nil {
			return err == io.EOF
		}
	}
}

// TestWorkers adds up overlapping jobs of slots, and spreads records over time.
func TestWorkers(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }
	spans := []span{{"b", at(0), at(2), 100}, {"a", at(1), at(3), 300}, {"a", at(0), at(2), 300}, {"a", at(5), at(6), 100}}
	want := []worker{{"a", 3, 700, 4, 175}, {"b", 1, 100, 2, 50}}
	if diff := cmp.Diff(want, workers(spans)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{150, 300, 150, 0, 0, 100}, rates(spans, "a", at(0), at(6), 6)); diff != "" {
		t.Error(diff)
	}
	// A clock that was set back, and jobs that took no time.
	if got := workers([]span{{"a", at(5), at(4), 1}, {"a", at(4), at(4), 1}}); got[0].Rate != 0 || got[0].Records != 2 {
		t.Errorf("%+v", got)
	}
	for _, list := range [][]span{nil, {{"a", at(4), at(4), 1}}, {{"a", at(5), at(4), 1}}, {{"", time.Time{}, time.Time{}, 1}}} {
		if plot := throughputPlot(list); !wellFormed(plot) || bytes.Contains(plot, []byte("NaN")) || bytes.Contains(plot, []byte("Inf")) {
			t.Errorf("%+v: %s", list, plot)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		size int
		want []string
	}{
		{"", 3, nil},
		{"a\n\nb\n\nc", 1, []string{"a\n\n", "b\n\n", "c"}},
		{"a\n\nb\n\nc", 100, []string{"a\n\nb\n\nc"}},
		{"abcdef", 2, []string{"abcdef"}},
	} {
		var got []string
		for _, part := range cut([]byte(c.text), c.size) {
			got = append(got, string(part))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: %s", c.text, diff)
		}
	}
	if got := len(cut(make([]byte, 2*maxPart+1), maxPart/2)); got != 3 {
		t.Errorf("a paragraph without end makes %d parts", got)
	}
	for file, want := range map[string]string{
		"deb.debian.org_debian_dists_bookworm_main_binary-amd64_Packages.lz4": "bookworm-main-amd64", "_Packages": "list", "Ä_Packages.xz": "list",
	} {
		if got := listName(file); got != want || !partID.MatchString(got+"-1") {
			t.Errorf("%s: %s", file, got)
		}
	}
}
