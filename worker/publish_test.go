package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
)

// lose claims a job for an instance that dies. The next attempt is the second one.
func (r *fixture) lose(id string) {
	r.t.Helper()
	ctx := context.Background()
	dead := ledger.Owner{Node: "n0", Instance: jobs.NewID()}
	claim, err := r.ledger.Claim(ctx, id, dead, "")
	r.must(err)
	if !claim.OK {
		r.t.Fatalf("not claimed: %+v", claim)
	}
	r.recover(dead.Instance)
}

// recover takes back the job of an instance as if the instance had died.
func (r *fixture) recover(instance string) {
	r.t.Helper()
	ctx := context.Background()
	r.must(r.ledger.Nodes.Register(ctx, nodes.Node{Name: "dead-" + instance, Instance: instance}))
	r.must(r.ledger.Nodes.Leave(ctx, instance))
	lost, err := r.ledger.Recover(ctx, 0)
	r.must(err)
	if len(lost) != 1 || lost[0].State != jobs.Queued {
		r.t.Fatalf("recovered %v", lost)
	}
}

// publishFor stores a result as an attempt does that dies immediately afterwards.
func (r *fixture) publishFor(j jobs.Job, attempt int, value string) []byte {
	r.t.Helper()
	document, err := json.Marshal(jobs.Result{ID: j.ID, Program: j.Program, State: jobs.Succeeded, Attempt: attempt, Result: []byte(value)})
	r.must(err)
	r.must(r.store.Create(context.Background(), store.ResultKey(j.ID), document))
	return document
}

// creator records which objects are created.
type creator struct {
	publish.Store
	keys chan string
}

func (c *creator) Create(ctx context.Context, key string, data []byte) error {
	c.keys <- key
	return c.Store.Create(ctx, key, data)
}

// TestAdoptIsSynced checks that an adopted result is created again: its attempt may
// have died before the sync.
func TestAdoptIsSynced(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	keys := make(chan string, 10)
	r.cfg.Store = &creator{r.store, keys}
	r.install("p", "echo 2")
	j := job("p")
	r.accept(j)
	r.lose(j.ID)
	r.publishFor(j, 1, "1")
	r.put(j)
	r.start()
	r.await(j.ID, jobs.Succeeded)
	if got := receive(t, keys); got != store.ResultKey(j.ID) {
		t.Errorf("created %s", got)
	}
}

// TestAdopt finishes a job that has a result already without running the program.
func TestAdopt(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", "echo 2")
	j := job("p")
	r.accept(j)
	r.lose(j.ID)
	r.publishFor(j, 1, "1")
	r.put(j)
	r.start()
	record := r.await(j.ID, jobs.Succeeded)
	if got := string(r.result(j.ID).Result); got != "1" || record.Attempt != 2 {
		t.Errorf("result is %s in attempt %d", got, record.Attempt)
	}
	if last := r.attempts(j.ID)[1]; last.ExitCode != -1 {
		t.Errorf("the program ran: %+v", last)
	}
}

// TestSecondResult has a second result of a job. An equal one changes nothing. Another
// one is kept aside.
func TestSecondResult(t *testing.T) {
	t.Parallel()
	r := newFixture(t, inStore)
	r.install("p", `echo '{ "a": 2 }'`)
	r.start()
	for _, c := range []struct {
		first    string
		conflict bool
	}{{`{"a":2}`, false}, {`{"a":1}`, true}} {
		j := job("p")
		before := r.publishFor(j, 7, c.first)
		r.submit(j)
		r.await(j.ID, jobs.Succeeded)
		if got := r.object(store.ResultKey(j.ID)); string(got) != string(before) {
			t.Errorf("the first result has become %s", got)
		}
		if got := r.hasEvent(j.ID, "conflict"); got != c.conflict {
			t.Errorf("%s: conflict event: %v", c.first, got)
		}
		if c.conflict && !strings.Contains(string(r.object(store.AsideKey(j.ID, 1))), `"result":{"a":2}`) {
			t.Errorf("aside is %s", r.object(store.AsideKey(j.ID, 1)))
		}
	}
}

// TestResultIsUnchanged checks that values stay that JSON libraries often change.
func TestResultIsUnchanged(t *testing.T) {
	t.Parallel()
	const out = `{"big":12345678901234567890.10,"html":"<a href='x'>&","esc":"\u00e9\/","empty":{},"null":null}`
	r := newFixture(t)
	r.install("p", "cat <<'EOF'\n\n "+strings.ReplaceAll(out, ",", " ,\n ")+"\nEOF")
	r.start()
	id := r.submit(job("p"))
	r.await(id, jobs.Succeeded)
	if got := string(r.result(id).Result); got != out {
		t.Errorf("result is %s", got)
	}
	document := string(r.document(id))
	for _, want := range []string{`"state":"succeeded"`, `"timestamp":"20`, `"attempt":1`, `"node":"n1"`, `"program_sha256":"`} {
		if !strings.Contains(document, want) {
			t.Errorf("%s is not in %s", want, document)
		}
	}
}

// TestEmptyValues has results such as null and empty strings.
func TestEmptyValues(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("cat", "cat")
	r.start()
	for _, value := range []string{"null", `""`, "{}", "[]", "0", "false"} {
		j := job("cat")
		j.Input.Data = []byte(value)
		id := r.submit(j)
		r.await(id, jobs.Succeeded)
		if document := string(r.document(id)); !strings.HasSuffix(document, `,"result":`+value+"}") {
			t.Errorf("%s became %s", value, document)
		}
	}
}

func TestResultSchema(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Attempts = 1 })
	r.installFolder("p", "cat", `{"result":{"properties":{"list":{"items":{"type":"number"}}}}}`)
	r.start()
	j := job("p")
	j.Input.Data = []byte(`{"list":[1,"x"]}`)
	e := r.await(r.submit(j), jobs.Failed).Error
	if e.Class != jobs.OutcomeError || e.Pointer != "/list/1" || !strings.Contains(e.Message, "program.json promises") {
		t.Errorf("error is %+v", e)
	}
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", `printf hello >out/b.txt; printf x >'out/a ü?.txt'; mkdir -p out/empty out/plots/week; printf y >out/plots/week/1.png
ln -s /etc/passwd out/link; ln -s /etc out/plots/etc; mkfifo out/pipe; echo 1`)
	r.start()
	j := job("p")
	id := r.submit(j)
	r.await(id, jobs.Succeeded)
	got := r.result(id)
	want := []jobs.Artifact{
		{Name: "a ü?.txt", Size: 1, URL: j.Result.URL + "/files/a%20%C3%BC%3F.txt", SHA256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"},
		{Name: "b.txt", Size: 5, URL: j.Result.URL + "/files/b.txt", SHA256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
		{Name: "plots/week/1.png", Size: 1, URL: j.Result.URL + "/files/plots/week/1.png", SHA256: "a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa"},
	}
	if diff := cmp.Diff(want, got.Artifacts); diff != "" {
		t.Error(diff)
	}
	left := []jobs.LeftOut{
		{Name: "link", Reason: "it is a symbolic link"},
		{Name: "pipe", Reason: "it is not a regular file"},
		{Name: "plots/etc", Reason: "it is a symbolic link"},
	}
	if diff := cmp.Diff(left, got.LeftOut); diff != "" {
		t.Error(diff)
	}
	for name, content := range map[string]string{"b.txt": "hello", "plots/week/1.png": "y"} {
		if text := string(r.object(store.FileKey(id, 1, name))); text != content {
			t.Errorf("%s holds %q", name, text)
		}
	}
	log := string(r.object(store.LogKey(id, 1)))
	for _, name := range []string{"link", "pipe", "plots/etc"} {
		if !strings.Contains(log, "out/"+name+" is not kept") {
			t.Errorf("the log does not mention %s: %s", name, log)
		}
	}
}

func TestTooManyArtifacts(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Attempts, c.MaxFiles = 1, 1000 })
	r.install("many", "cd out && seq 1 1001 | xargs touch; echo 1")
	r.install("large", "head -c 1001 /dev/zero >out/x; echo 1")
	r.install("swapped", "rmdir out; ln -s /etc out; echo 1")
	r.start()
	for name, want := range map[string]string{"many": "more than 1000 files", "large": "larger than 1000 B", "swapped": "folder out cannot be read"} {
		if e := r.await(r.submit(job(name)), jobs.Failed).Error; !strings.Contains(e.Message, want) {
			t.Errorf("%s: error is %+v", name, e)
		}
	}
}

// TestElsewhere checks that files are served by this node if the result URL is on
// another server.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the worker has put a result") })
	r := newFixture(t)
	r.install("p", "echo x >out/f; echo 1")
	r.start()
	j := job("p")
	j.Result.URL = url + "/results/" + j.ID
	r.submit(j)
	r.await(j.ID, jobs.Succeeded)
	if got := r.result(j.ID).Artifacts; len(got) != 1 || got[0].URL != testBase+"/"+j.ID+"/files/f" {
		t.Errorf("files %+v", got)
	}
}

// fullStore is on a disk that is full for a while.
type fullStore struct {
	publish.Store
	left atomic.Int32
}

func (s *fullStore) Create(ctx context.Context, key string, data []byte) error {
	if s.left.Add(-1) >= 0 {
		return fmt.Errorf("%w: no space left on device", store.ErrFull)
	}
	return s.Store.Create(ctx, key, data)
}

// TestFullDisk checks that an attempt waits while the disk is full for a moment, and
// that the job goes back to the queue if it stays full.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for fails, runs := range map[int32]int{4 - 1: 1, 4: 2} {
		r := newFixture(t, func(c *Config) {
			full := &fullStore{Store: c.Store}
			full.left.Store(fails)
			c.Store = full
		}, inStore)
		r.install("p", "echo 1")
		r.start()
		id := r.submit(job("p"))
		record := r.await(id, jobs.Succeeded)
		if record.Attempt != runs || record.Spent != 0 {
			t.Errorf("%d failures: %d attempts, %d spent", fails, record.Attempt, record.Spent)
		}
		if first := r.attempts(id)[0]; runs == 2 && !strings.Contains(first.Message, "cannot be stored: store: disk full") {
			t.Errorf("the first attempt says %q", first.Message)
		}
	}
}

// falseErrorStore is a store that once returns an error although it has stored the
// object.
type falseErrorStore struct {
	publish.Store
	said, saidOfFile atomic.Bool
}

func (s *falseErrorStore) CreateFrom(ctx context.Context, key string, r io.Reader) (int64, error) {
	n, err := s.Store.CreateFrom(ctx, key, r)
	if err == nil && !s.saidOfFile.Swap(true) {
		return 0, errors.New("input/output error")
	}
	return n, err
}

func (s *falseErrorStore) Create(ctx context.Context, key string, data []byte) error {
	err := s.Store.Create(ctx, key, data)
	if err == nil && !s.said.Swap(true) {
		return errors.New("input/output error")
	}
	return err
}

// TestFalseErrorOfTheStore finds its own result published. The files of the result must
// stay.
func TestFalseErrorOfTheStore(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Store = &falseErrorStore{Store: c.Store} }, inStore)
	r.install("p", "echo x >out/f; echo 1")
	r.start()
	id := r.submit(job("p"))
	if record := r.await(id, jobs.Succeeded); record.Attempt != 1 {
		t.Errorf("%d attempts", record.Attempt)
	}
	if !r.has(store.FileKey(id, 1, "f")) || r.hasEvent(id, "conflict") {
		t.Error("the file is gone, or there is a conflict")
	}
	if list := r.result(id).Artifacts; len(list) != 1 || list[0].Size != 2 || list[0].SHA256 == "" {
		t.Errorf("artifacts %+v", list)
	}
}

// cancellingStore ends a context while the second file is stored.
type cancellingStore struct {
	publish.Store
	end   func()
	files int
	first string // its key
}

func (s *cancellingStore) CreateFrom(ctx context.Context, key string, r io.Reader) (int64, error) {
	if s.files++; s.files == 2 {
		s.end()
		return 0, ctx.Err()
	}
	s.first = key
	return s.Store.CreateFrom(ctx, key, r)
}

// TestStoppedWhileFilesAreStored cancels an attempt while files are stored. The node is
// not at fault, and the stored file is removed.
func TestStoppedWhileFilesAreStored(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := newFixture(t, func(c *Config) { c.Store = &cancellingStore{Store: c.Store, end: cancel} })
	w, err := New(r.cfg)
	r.must(err)
	j := job("p")
	h := w.newHandler(&panicRecorder{})
	record := ledger.Record{ID: j.ID, Program: "p", Attempt: 1}
	a := h.newAttempt(record, &program.Program{}, &resources{})
	a.job, a.publication.Job, a.run.exit, a.run.dir, a.stop = j, &j, &process.Exit{Stdout: []byte("1")}, t.TempDir(), newStopper(ctx)
	defer a.stop.release()
	verb := ledger.VerbCancel
	a.stop.verb.Store(&verb)
	r.must(os.Mkdir(filepath.Join(a.run.dir, "out"), 0o700))
	for _, name := range []string{"a", "b"} {
		r.must(os.WriteFile(filepath.Join(a.run.dir, "out", name), []byte(name), 0o600))
	}
	f, _ := errors.AsType[*fault.Fault](h.runner.publish(ctx, a))
	if f == nil || f.Node || f.Outcome != jobs.OutcomeCancelled {
		t.Errorf("it ends with %+v", f)
	}
	if store := w.cfg.Store.(*cancellingStore); store.files != 2 || r.has(store.first) {
		t.Errorf("%q stays", store.first)
	}
}
