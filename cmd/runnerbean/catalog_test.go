package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// catalogLists are the package lists of the tests: 42 records and 6 bad paragraphs.
const catalogLists = "../../examples/catalog/testdata/lists"

// installCatalog installs the programs of examples/catalog, which may fetch from this machine.
func (p *process) installCatalog() (binary string) {
	p.t.Helper()
	binary = filepath.Join(p.folder, "catalog")
	if out, err := exec.CommandContext(p.t.Context(), "go", "build", "-o", binary, "../../examples/catalog").CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	run, err := os.ReadFile(binary)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, name := range []string{"catalog", "catalog-fetch", "catalog-parse", "catalog-aggregate"} {
		folder := filepath.Join(p.setting("PROGRAMS"), name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			p.t.Fatal(err)
		}
		manifest, err := os.ReadFile(filepath.Join("../../examples/catalog/programs", name, "program.json"))
		if err != nil {
			p.t.Fatal(err)
		}
		write(p.t, filepath.Join(folder, "program.json"), string(manifest))
		write(p.t, filepath.Join(folder, "run"), string(run))
	}
	p.env = append(p.env, "RUNNERBEAN_FETCH_ALLOW=127.0.0.1")
	return binary
}

// serveCatalog serves package lists with "catalog serve", and returns the URL of their index.
func serveCatalog(t *testing.T, binary string, args ...string) string {
	t.Helper()
	server := exec.CommandContext(t.Context(), binary, append([]string{"serve", "-listen", "127.0.0.1:0", "-chunks", "12"}, args...)...)
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "The lists:")), ",")
	return url
}

// submitCatalog submits the index at a URL, and returns the id of the plan.
func (p *process) submitCatalog(url string) string {
	p.t.Helper()
	return idOf(strings.TrimSpace(p.must("submit", "--program", "catalog", "--input", url)))
}

// catalogResult is what the tests look at of a catalog.
type catalogResult struct {
	Source                     string
	Records, Bad, Chunks, Jobs int
	GiB                        float64
	Failed                     []string
	Workers                    []struct {
		Worker          string
		Chunks, Records int
	}
}

// catalogOf waits for the catalog of a plan, and checks its family and its workers.
func (p *process) catalogOf(plan string) (got catalogResult, files [3]string) {
	p.t.Helper()
	if r := p.final(p.url + "/" + plan); r.State != jobs.Succeeded {
		p.t.Fatalf("%+v: %+v", r, r.Error)
	}
	last := p.url + "/" + jobs.DerivedID(plan, "enqueue/aggregate")
	if err := p.final(last).Decode(&got); err != nil {
		p.t.Fatal(err)
	}
	var list struct{ Jobs []struct{ ID string } }
	p.api("/api/v1/jobs?limit=1000&label=family="+plan, &list)
	if got.Jobs = len(list.Jobs); got.Jobs != 2*(got.Chunks+len(got.Failed))+1 {
		p.t.Errorf("%d jobs of %+v", got.Jobs, got)
	}
	chunks, records := 0, 0
	for _, w := range got.Workers {
		chunks, records = chunks+w.Chunks, records+w.Records
	}
	if chunks != got.Chunks || records != got.Records {
		p.t.Errorf("the workers do not add up: %+v", got)
	}
	for i, name := range []string{"catalog.json", "sections.svg", "sizes.svg"} {
		files[i] = p.text(strings.TrimPrefix(last, p.url) + "/files/" + name)
	}
	if plot := p.text(strings.TrimPrefix(last, p.url) + "/files/throughput.svg"); strings.Count(plot, `class="line l`) != 2*len(got.Workers) {
		p.t.Errorf("the plot of %+v: %s", got.Workers, plot)
	}
	return got, files
}

// TestCatalog runs examples/catalog on two nodes, and looks at its pages. The numbers are those of
// its lists.
func TestCatalog(t *testing.T) {
	t.Parallel()
	a := newNode(t, queuetest.Start(t).Addr)
	b := a.beside("south")
	a.env = append(a.env, "RUNNERBEAN_NODE=north")
	url := serveCatalog(t, a.installCatalog(), "-lists", catalogLists)
	b.installCatalog()
	a.start("worker")
	b.start("worker")
	plan := a.submitCatalog(url)
	got, files := a.catalogOf(plan)
	if got.Records != 42 || got.Bad != 6 || got.GiB != 2 || got.Chunks < 5 || len(got.Failed) != 0 {
		t.Errorf("%+v", got)
	}
	type group struct{ Packages, KiB int }
	var catalog struct {
		Total struct {
			Records, Bad, KiB int
			Sections          map[string]group
			Sizes             []int
		}
	}
	if err := json.Unmarshal([]byte(files[0]), &catalog); err != nil {
		t.Fatal(err)
	}
	want := map[string]group{ // package n of 40 has 2^(n mod 20) KiB, and section n mod 4
		"admin": {10, 2 * 0x11111}, "libs": {11, 2*0x22222 + 1}, "contrib/games": {10, 2 * 0x44444}, "python": {10, 2 * 0x88888}, "none": {1, 0},
	}
	if diff := cmp.Diff(want, catalog.Total.Sections); diff != "" {
		t.Error(diff)
	}
	sizes := []int{0, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}
	if diff := cmp.Diff(sizes, catalog.Total.Sizes); diff != "" || catalog.Total.KiB != 2*(1<<20-1)+1 {
		t.Errorf("%d KiB, %s", catalog.Total.KiB, diff)
	}
	tab := browsertest.NewTab(t, browsertest.Start(t))
	tab.Open(a.url + "/" + jobs.DerivedID(plan, "enqueue/aggregate"))
	tab.Until(`[...document.querySelectorAll('.images img')].filter((i) => i.naturalWidth === 400).length === 3`)
	tab.CheckLook("catalog")
	tab.Open(a.url + "/jobs/" + plan)
	tab.Until(`document.querySelector('main').textContent.includes('catalog-aggregate')`)
	tab.CheckLook("catalog-pipeline")
}

// TestCatalogOfALostPart changes a part after its index was made. The catalog is without it, and
// names it.
func TestCatalogOfALostPart(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	lists := serveCatalog(t, p.installCatalog(), "-lists", "/nowhere", "-status", filepath.Join(catalogLists, "archive.example_dists_test_main_binary-amd64_Packages"))
	p.start("worker")
	answer, err := http.Get(lists)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var index struct {
		Source string           `json:"source"`
		Parts  []map[string]any `json:"parts"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&index); err != nil {
		t.Fatal(err)
	}
	index.Parts[2]["sha256"] = strings.Repeat("0", 64)
	changed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(index) }))
	defer changed.Close()
	got, _ := p.catalogOf(p.submitCatalog(changed.URL))
	if diff := cmp.Diff([]string{"installed-3"}, got.Failed); diff != "" || got.Chunks != len(index.Parts)-1 || !strings.Contains(got.Source, "since apt has no package lists") {
		t.Errorf("%+v, %s", got, diff)
	}
}

// TestCatalogOfAKilledNode kills the node of examples/catalog while the first program has made some
// jobs, twice while parts are parsed, and at the end. Each job is there once, and the files are
// those of a run without that.
func TestCatalogOfAKilledNode(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	url := serveCatalog(t, p.installCatalog(), "-lists", catalogLists)
	g := gate(t.TempDir())
	g.hold(p, "catalog-parse/run")
	hang := g.file("hang")
	write(t, hang, "")
	p.install("catalog/run", fmt.Sprintf(`if [ -e %[1]s ]; then %[2]s 3>&1 >/dev/null | head -n 7 >&3; exec sleep 600; fi; exec %[2]s`, hang, p.move("catalog/run")))
	p.start("worker")
	killed := p.submitCatalog(url)
	child := func(key string) (jobs.Result, bool) {
		return p.get(p.url + "/" + jobs.DerivedID(killed, "enqueue/"+key))
	}
	restart := func() { p.end(syscall.SIGKILL); p.start("worker") }
	p.until("some jobs", func() bool { _, ok := child("parse 2"); return ok })
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	restart()
	for _, succeeded := range []int{0, 2} {
		g.let(t, succeeded)
		p.until("running jobs", func() bool {
			counts := map[jobs.State]int{}
			for n := 0; ; n++ {
				r, ok := child("parse " + strconv.Itoa(n))
				if !ok {
					break
				}
				counts[r.State]++
			}
			return counts[jobs.Running] > 0 && counts[jobs.Succeeded] >= min(succeeded, 1)
		})
		restart()
	}
	write(t, g.file("open"), "")
	p.until("the last job", func() bool { _, ok := child("aggregate"); return ok })
	restart()
	got, files := p.catalogOf(killed)
	want, wantFiles := p.catalogOf(p.submitCatalog(url))
	if got.Chunks != want.Chunks || got.Jobs != want.Jobs || files != wantFiles {
		t.Errorf("%+v, want %+v: %s, want %s", got, want, files, wantFiles)
	}
}
