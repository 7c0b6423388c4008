package worker

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// gather is a program that returns what it finds below inputs/needs, and all results.
const gather = `cat >/dev/null
cd inputs/needs && find . -type f | sort >../list
printf '{"files":['; sed 's/.*/"&"/' ../list | paste -sd, | tr -d '\n'
printf '],"results":['; for f in */result.json; do cat "$f"; echo; done | paste -sd, | tr -d '\n'; printf ']}'`

// TestNeeds gives a program what the jobs have left that its job needs, in their order: small
// and large results, artifacts in folders.
func TestNeeds(t *testing.T) {
	t.Parallel()
	large := `"` + strings.Repeat("x", 100<<10) + `"`
	for name, install := range map[string]func(*fixture){
		"run": func(r *fixture) { r.install("gather", gather) },
		"stream": func(r *fixture) {
			r.installFolder("gather", streamLoop(`in=${job#*'"inputs":"'} in=${in%%'"'*}
result=$(cd "${in%/inputs}" && { `+strings.TrimPrefix(gather, "cat >/dev/null\n")+`; })
echo "{\"id\":\"$id\",\"result\":$result}"`), `{"mode":"stream"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t)
			r.install("small", `mkdir out/plots; echo one >out/plots/a.txt; echo two >out/b.txt; echo 1`)
			r.install("large", "echo '"+large+"'")
			install(r)
			r.start()
			a, b, c := job("small"), job("large"), job("gather")
			c.Needs = []string{b.ID, a.ID}
			for _, j := range []jobs.Job{a, b, c} {
				r.submit(j)
				r.await(j.ID, jobs.Succeeded)
			}
			var got struct {
				Files   []string
				Results []jobs.Result
			}
			r.must(json.Unmarshal(r.result(c.ID).Result, &got))
			want := []string{"./0/result.json", "./1/files/b.txt", "./1/files/plots/a.txt", "./1/result.json"}
			if diff := cmp.Diff(want, got.Files); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]jobs.Result{r.result(b.ID), r.result(a.ID)}, got.Results); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNeedsOfABatch names the folders of needs for the numbers of frames, and for the ids of
// jobs outside the batch, and of those whose number is taken.
func TestNeedsOfABatch(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("one", "echo 1")
	r.install("gather", gather)
	r.start()
	batch := jobs.NewID()
	frame := func(program, number string) jobs.Job {
		j := job(program)
		j.Labels = map[string]string{"batch": batch, "frame": number}
		return j
	}
	list := []jobs.Job{frame("one", "17"), job("one"), frame("one", "../x"), frame("one", "017"), frame("one", "4")}
	last := frame("gather", "bundle")
	for _, j := range list {
		last.Needs = append(last.Needs, j.ID)
		r.submit(j)
		r.await(j.ID, jobs.Succeeded)
	}
	r.submit(last)
	r.await(last.ID, jobs.Succeeded)
	var got struct{ Files []string }
	r.must(json.Unmarshal(r.result(last.ID).Result, &got))
	want := []string{"./17/result.json", "./4/result.json"}
	for _, i := range []int{1, 2, 3} {
		want = append(want, "./"+list[i].ID+"/result.json")
	}
	slices.Sort(want)
	slices.Sort(got.Files)
	if diff := cmp.Diff(want, got.Files); diff != "" {
		t.Error(diff)
	}
}

// TestNeedsMissing runs jobs whose needed job was deleted, has lost its result or an
// artifact, or has left more than the program may have.
func TestNeedsMissing(t *testing.T) {
	t.Parallel()
	remove := func(key func(string) string) func(*fixture, string) {
		return func(r *fixture, id string) { r.must(r.store.Delete(context.Background(), key(id))) }
	}
	artifact := func(id string) string { return store.FileKey(id, 1, "f") }
	for name, c := range map[string]struct {
		spoil func(*fixture, string)
		state jobs.State
		want  string
	}{
		"deleted": {func(r *fixture, id string) {
			r.act(ledger.VerbDelete, id)
			r.must(r.store.RemoveJobs(context.Background(), []store.JobObjects{{ID: id, Attempts: 1}}))
		}, jobs.Succeeded, "was deleted; what it left is not in inputs/needs/0"},
		"artifact": {remove(artifact), jobs.Failed, "cannot be had: artifact f: missing from the store"},
		"result":   {remove(store.ResultKey), jobs.Failed, "cannot be had: missing from the store"},
		"spoiled": {func(r *fixture, id string) {
			r.must(r.store.Delete(context.Background(), store.ResultKey(id)))
			r.must(r.store.Create(context.Background(), store.ResultKey(id), []byte("{")))
		}, jobs.Failed, "it is not a result document"},
		"large": {func(r *fixture, _ string) { r.cfg.MaxFiles = 4096 }, jobs.Failed, "are larger than the 4.0 KiB that are left for its inputs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, inStore, func(c *Config) { c.inputPatience = 50 * time.Millisecond })
			r.install("first", `printf '%4096d' 1 >out/f; echo 1`)
			r.install("order", `ls inputs >&2; echo 2`)
			a, b := job("first"), job("order")
			b.Needs = []string{a.ID}
			n := r.start()
			r.submit(a)
			r.await(a.ID, jobs.Succeeded)
			n.stop()
			n.wait()
			c.spoil(r, a.ID)
			r.cfg.Instance = jobs.NewID()
			r.must(r.ledger.Nodes.Register(context.Background(), nodes.Node{Name: r.cfg.Node, Instance: r.cfg.Instance, Home: r.dir}))
			r.start()
			r.submit(b)
			r.await(b.ID, c.state)
			if c.state == jobs.Succeeded {
				if log := string(r.object(store.LogKey(b.ID, 1))); !strings.Contains(log, c.want) {
					t.Errorf("%q does not tell %q", log, c.want)
				}
				return
			}
			if e := r.get(b.ID).Error; !strings.Contains(e.Message, c.want) || e.Pointer != "/needs/0" || e.Class != jobs.OutcomeInput {
				t.Errorf("the error is %+v", e)
			}
		})
	}
}

// TestNeedsFailed runs a job with what there is after one that it needs has failed.
func TestNeedsFailed(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("bad", `echo "no such meter" >&2; exit 65`)
	r.install("read", `cat inputs/needs/0/result.json`)
	r.start()
	a, b := job("bad"), job("read")
	b.Needs, b.NeedsFailed = []string{a.ID}, jobs.NeedsRun
	r.accept(b)
	r.submit(a)
	r.await(a.ID, jobs.Failed)
	r.put(b)
	r.await(b.ID, jobs.Succeeded)
	var got jobs.Result
	r.must(json.Unmarshal(r.result(b.ID).Result, &got))
	if got.ID != a.ID || got.State != jobs.Failed || got.Error == nil || got.Error.Class != jobs.OutcomeFailed || got.Error.Message != "no such meter" || got.Finished.IsZero() {
		t.Errorf("%+v", got)
	}
}
