package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// keep puts a file of a package into the store of the fixture.
func (f *fixture) keep(text string) (digest string, file packages.File) {
	f.t.Helper()
	sum := sha256.Sum256([]byte(text))
	digest = hex.EncodeToString(sum[:])
	file, _, err := f.ledger.Packages.Begin(f.t.Context(), digest)
	if err == nil {
		file.Size, err = f.store.CreateFrom(f.t.Context(), store.PackageKey(file.SHA256, file.Number), strings.NewReader(text))
	}
	if err == nil {
		_, err = f.ledger.Packages.Record(f.t.Context(), file)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return digest, file
}

// submitFrames submits a batch whose frames are in a file.
func (f *fixture) submitFrames(digest string) string {
	f.t.Helper()
	id := jobs.NewID()
	document := fmt.Appendf(nil, `{"id":%q,"program":"batch","result":{"url":"http://r.example/%[1]s"},"input":{"data":{
		"job":{"program":"render","input":{"data":"${x}"}},"frames":"package:frames.json","package":{"frames.json":%q}}}}`, id, digest)
	accepted, err := f.dispatcher.Accept(f.t.Context(), [][]byte{document}, "maria")
	if err != nil || accepted[0].Err != nil {
		f.t.Fatal(err, accepted)
	}
	return id
}

// TestFramesFile runs a batch whose frames are more than its document could have. Another node goes
// on with it.
func TestFramesFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	frames := make([]map[string]any, 1000)
	for n := range frames {
		frames[n] = map[string]any{"number": n, "values": map[string]any{"x": fmt.Sprintf("%02000d", n)}}
	}
	frames[3]["needs"] = []int{999}
	text, err := json.Marshal(frames)
	if err != nil || len(text) < jobs.MaxDocument {
		t.Fatal(err, len(text))
	}
	digest, _ := f.keep(string(text))
	id := f.submitFrames(digest)
	f.quota = 10
	stop := f.node("n1")
	f.until(id, func(ledger.Record) bool { return len(f.order) == f.quota })
	stop()
	f.quota = len(frames)
	f.node("n2")
	if r := f.work(id); r.State != jobs.Succeeded {
		t.Fatalf("%s: %+v", r.State, r.Error)
	}
	if s := f.summary(id); s.Frames != 1000 || s.Succeeded != 1000 {
		t.Errorf("%+v", s)
	}
	frame, err := f.ledger.Get(t.Context(), jobs.FrameID(id, 17))
	if err != nil || !strings.Contains(string(frame.Document), fmt.Sprintf("%02000d", 17)) {
		t.Errorf("%s, %v", frame.Document, err)
	}
	place := func(n int) int { return slices.Index(f.order, jobs.FrameID(id, n)) }
	if place(3) < place(999) {
		t.Error("a frame ran before the one that it needs")
	}
}

// TestFramesFileFaults fails batches whose file is wrong, missing or damaged. With the file in its
// place, a retry runs the last ones.
func TestFramesFileFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.node("n1")
	for text, want := range map[string]string{
		`["1-3"]`: "frame 1: input.data has ${x}, which is no value",
		`{"frames":[` + strings.Repeat("1,", jobdoc.MaxFrames/2) + `1]}`: "must name a file of at most 33554432 bytes, not 33554",
		"1-3": "names the file \"frames.json\", which must be a JSON list",
	} {
		digest, _ := f.keep(text)
		r := f.work(f.submitFrames(digest))
		if r.State != jobs.Failed || r.Error.Class != jobs.ClassDocument || !strings.Contains(r.Error.Message, want) || !strings.HasPrefix(r.Error.Pointer, "/input/data/") {
			t.Errorf("%.50s: %s %+v, want %s", text, r.State, r.Error, want)
		}
	}
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"damaged": func(path string) error {
			if err := os.Chmod(path, 0o600); err != nil {
				return err
			}
			return os.WriteFile(path, []byte(`[{"number":2,"values":{"x":1}}]`), 0o600)
		},
	} {
		text := fmt.Sprintf(`[{"number":1,"values":{"x":%q}}]`, name)
		digest, file := f.keep(text)
		if err := spoil(filepath.Join(f.folder, store.PackageKey(file.SHA256, file.Number))); err != nil {
			t.Fatal(err)
		}
		id := f.submitFrames(digest)
		if r := f.work(id); r.State != jobs.Failed || r.Error.Class != jobs.OutcomeInput || !strings.Contains(r.Error.Message, "is damaged or missing in the store") {
			t.Fatalf("%s: %s %+v", name, r.State, r.Error)
		}
		if again, _ := f.keep(text); again != digest {
			t.Fatal(again)
		}
		if acted, err := f.dispatcher.Act(t.Context(), ledger.VerbRetry, "otto", []ledger.Target{{ID: id}}); err != nil || acted[0].Err != nil {
			t.Fatal(err, acted[0].Err)
		}
		if r := f.work(id); r.State != jobs.Succeeded {
			t.Errorf("%s: %s %+v", name, r.State, r.Error)
		}
	}
}

// TestFramesFilesAtOnce runs batches one after the other where the node has room for the frames of
// one.
func TestFramesFilesAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const text = `[{"number":1,"values":{"x":1}},{"number":2,"values":{"x":2}}]`
	digest, _ := f.keep(text)
	f.quota = 0
	instance := jobs.NewID()
	if err := f.ledger.Nodes.Register(t.Context(), nodes.Node{Name: "n1", Instance: instance, Slots: 1}); err != nil {
		t.Fatal(err)
	}
	r := New(Config{Ledger: f.ledger, Dispatcher: f.dispatcher, Store: f.store, Node: "n1", Instance: instance, Interval: 10 * time.Millisecond, Logger: quiet()})
	r.files = semaphore.NewWeighted(int64(len(text)))
	r.Hold("")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	first := f.submitFrames(digest)
	f.until(first, func(ledger.Record) bool { return f.states(first)[jobs.Queued]+f.states(first)[jobs.Running] == 2 })
	second := f.submitFrames(digest)
	f.until(second, func(r ledger.Record) bool { return r.State == jobs.Running })
	if made := f.states(second); len(made) > 0 {
		t.Errorf("the second batch has frames: %v", made)
	}
	if r.files.TryAcquire(1) {
		t.Error("there is room beside the first batch")
	}
	f.quota = math.MaxInt
	for _, id := range []string{first, second} {
		if r := f.work(id); r.State != jobs.Succeeded {
			t.Errorf("%s: %+v", r.State, r.Error)
		}
	}
}
