package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// batch is a running batch, the frames of which tests end.
type batch struct {
	*bench
	id      string
	attempt int
}

// newBatch makes a batch that runs, with frames that are queued.
func (b *bench) newBatch(frames int) *batch {
	b.t.Helper()
	description := jobs.Batch{Frames: jobs.Range(0, frames-1, 1), Job: jobs.Job{Program: testProgram, Input: jobs.Input{Data: []byte(`{"frame":"${frame}"}`)}}}
	document, err := description.Document()
	if err != nil {
		b.t.Fatal(err)
	}
	all := &batch{bench: b, id: document.ID}
	b.accept(ledger.Entry{Job: document})
	all.attempt = b.running(all.id)
	e, err := description.Expander()
	if err != nil {
		b.t.Fatal(err)
	}
	var entries []ledger.Entry
	for i := range e.Len() {
		job, err := e.Job(i)
		if err != nil {
			b.t.Fatal(err)
		}
		entries = append(entries, ledger.Entry{Job: job, Batch: all.id, Frame: i})
		if len(entries) == 1000 || i == e.Len()-1 {
			b.accept(entries...)
			entries = entries[:0]
		}
	}
	return all
}

// accept accepts jobs, and gives them a result URL and a document.
func (b *bench) accept(entries ...ledger.Entry) {
	b.t.Helper()
	for i := range entries {
		job := &entries[i].Job
		job.Result.URL = "http://127.0.0.1:8420/" + job.ID
		document, err := json.Marshal(*job)
		if err != nil {
			b.t.Fatal(err)
		}
		if *job, err = jobdoc.Decode(document); err != nil {
			b.t.Fatal(err)
		}
		entries[i].Document = document
	}
	accepted, err := b.ledger.Accept(b.t.Context(), entries)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range accepted {
		if a.Err != nil {
			b.t.Fatal(a.Err)
		}
	}
}

// end ends a frame in a state.
func (b *batch) end(number int, state jobs.State, files ...jobs.Artifact) {
	b.t.Helper()
	id := jobs.FrameID(b.id, number)
	switch state {
	case jobs.Running:
		b.running(id)
	case jobs.Succeeded:
		b.succeed(id, b.running(id), "1", files...)
	case jobs.Failed:
		b.finish(id, b.running(id), ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed, ExitCode: 65, Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "no light"}})
	case jobs.Cancelled:
		b.do(ledger.VerbCancel, id)
	}
}

// tell reports how the batch stands, as internal/batch does.
func (b *batch) tell(frames int) json.RawMessage {
	b.t.Helper()
	n, err := b.ledger.Batches.States(b.t.Context(), b.id)
	if err != nil {
		b.t.Fatal(err)
	}
	summary := map[string]any{
		"frames": frames, "seconds": map[string]float64{"mean": 12.3, "p10": 4, "p50": 11, "p90": 40, "max": 151},
		"ends": time.Now().Add(time.Hour).Truncate(time.Second), "tar": "http://127.0.0.1:8420/" + b.id + "/bundle.tar",
	}
	for _, state := range jobs.States {
		summary[string(state)] = n[state]
	}
	partial, err := json.Marshal(summary)
	if err != nil {
		b.t.Fatal(err)
	}
	progress := float64(n[jobs.Succeeded]) / float64(frames)
	if err := b.ledger.Report(b.t.Context(), b.id, b.attempt, ledger.Live{Progress: &progress, Message: "some frames have ended", Partial: partial}); err != nil {
		b.t.Fatal(err)
	}
	return partial
}

// page returns a page, and fails the test where it is not there.
func (b *batch) page(target string) string {
	b.t.Helper()
	r := b.get(target, "Accept: text/html")
	body := bodyOf(b.t, r)
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusAccepted {
		b.t.Fatalf("%s: %d %s", target, r.StatusCode, plainWords(body))
	}
	return body
}

var cellTags = regexp.MustCompile(`<li><a class="is-[a-z]+" href="([^"]*)" title="([^"]*)"`)

// cellsOf returns the labels and the links of the cells of a page.
func cellsOf(page string) (labels, links []string) {
	for _, m := range cellTags.FindAllStringSubmatch(page, -1) {
		labels, links = append(labels, m[2]), append(links, strings.ReplaceAll(m[1], "&amp;", "&"))
	}
	return labels, links
}

func TestFramesOfABatch(t *testing.T) {
	t.Parallel()
	b := newBench(t).newBatch(6)
	b.end(0, jobs.Succeeded)
	b.end(1, jobs.Failed)
	b.end(2, jobs.Cancelled)
	b.end(3, jobs.Running)
	b.tell(6)
	want := []string{"frame 0: succeeded", "frame 1: failed", "frame 2: cancelled", "frame 3: running", "frame 4: queued", "frame 5: queued"}
	visitor, operator := b.page("/"+b.id), b.page("/jobs/"+b.id)
	for name, page := range map[string]string{"visitor": visitor, "operator": operator} {
		if got, _ := cellsOf(page); !slices.Equal(got, want) {
			t.Errorf("%s sees %q, want %q", name, got, want)
		}
		for _, words := range []string{"3 of 6 frames ended", "1 succeeded", "1 failed", "2 queued", "50 % ran at most11 s", "Longest run2 min 31 s", "Expected end"} {
			if !strings.Contains(plainWords(page), words) {
				t.Errorf("%s does not see %q in %s", name, words, plainWords(page))
			}
		}
		if strings.Contains(page, "Result so far") || strings.Contains(page, "bundle.tar\"") {
			t.Errorf("%s sees the summary twice, or files of a batch that runs", name)
		}
	}
	if _, links := cellsOf(visitor); links[1] != "/"+b.id+"/frames/1" {
		t.Errorf("a visitor's cell leads to %s", links[1])
	}
	if _, links := cellsOf(operator); links[1] != "/jobs/"+jobs.FrameID(b.id, 1) {
		t.Errorf("an operator's cell leads to %s", links[1])
	}
	if strings.Contains(visitor, "<form") || !strings.Contains(operator, "Cancel all") || !strings.Contains(operator, "Retry all failed") {
		t.Error("buttons are where they must not be, or are missing")
	}
}

func TestFramesAreSelected(t *testing.T) {
	t.Parallel()
	b := newBench(t).newBatch(12)
	for i := range 12 {
		b.end(i, []jobs.State{jobs.Succeeded, jobs.Failed, jobs.Queued}[i%3])
	}
	b.tell(12)
	for query, want := range map[string][]string{
		"state=failed":                {"frame 1: failed", "frame 4: failed", "frame 7: failed", "frame 10: failed"},
		"first=3&last=4":              {"frame 3: succeeded", "frame 4: failed"},
		"first=5&state=failed":        {"frame 7: failed", "frame 10: failed"},
		"state=failed&last=1":         {"frame 1: failed"},
		"state=running":               nil,
		"sort=time":                   nil,
		"state=failed&sort=number&x=": {"frame 1: failed", "frame 4: failed", "frame 7: failed", "frame 10: failed"},
	} {
		for _, path := range []string{"/" + b.id, "/jobs/" + b.id} {
			if got, _ := cellsOf(b.page(path + "?" + query)); !slices.Equal(got, want) {
				t.Errorf("%s shows %q, want %q", query, got, want)
			}
		}
	}
	if page := b.page("/" + b.id + "?sort=time"); strings.Count(page, "<tr><td><a href=\"/"+b.id+"/frames/") != 8 {
		t.Errorf("the table of the slowest: %s", page)
	}
	if page := b.page("/" + b.id + "?sort=time&state=failed"); strings.Count(page, "<tr><td><a href=\"/"+b.id+"/frames/") != 4 {
		t.Errorf("the table of the slowest that failed: %s", page)
	}
	for _, query := range []string{"state=x", "first=-1", "last=x", "first=5&last=4", "sort=name", "state=failed&state=queued", "first=99999999999"} {
		for _, path := range []string{"/" + b.id, "/jobs/" + b.id} {
			if r := b.get(path+"?"+query, "Accept: text/html"); r.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: status %d, want 400", query, r.StatusCode)
			}
		}
	}
}

func TestManyFramesAreRanges(t *testing.T) {
	t.Parallel()
	b := newBench(t).newBatch(2500)
	b.end(7, jobs.Failed)
	b.end(8, jobs.Running)
	b.tell(2500)
	labels, links := cellsOf(b.page("/" + b.id))
	if len(labels) != 500 || labels[1] != "frames 5–9: 1 failed, 1 running, 3 queued" || labels[499] != "frames 2495–2499: 5 queued" {
		t.Fatalf("%d cells: %q", len(labels), labels[:min(len(labels), 2)])
	}
	want := []string{"frame 5: queued", "frame 6: queued", "frame 7: failed", "frame 8: running", "frame 9: queued"}
	if got, _ := cellsOf(b.page(strings.TrimSuffix(links[1], "#frames"))); !slices.Equal(got, want) {
		t.Errorf("%s shows %q, want %q", links[1], got, want)
	}
	if page := b.page("/" + b.id + "?first=5&last=9"); !strings.Contains(page, `first=0&amp;last=4#frames">0–4</a>`) || !strings.Contains(page, `first=10&amp;last=14#frames">10–14</a>`) {
		t.Error("a range does not lead to those beside it")
	}
	page := b.page("/" + b.id + "?state=queued")
	next := regexp.MustCompile(`href="([^"]*)#frames">The next ones`).FindStringSubmatch(page)
	if labels, _ = cellsOf(page); len(labels) != 1000 || next == nil {
		t.Fatalf("%d queued frames, next %v", len(labels), next)
	}
	if labels, _ = cellsOf(b.page(strings.ReplaceAll(next[1], "&amp;", "&"))); len(labels) != 1000 || labels[0] != "frame 1002: queued" {
		t.Errorf("next are %d, from %q on", len(labels), labels[0])
	}
}

func TestFrameLeadsToItsBatch(t *testing.T) {
	t.Parallel()
	b := newBench(t).newBatch(3)
	b.end(2, jobs.Failed)
	frame := jobs.FrameID(b.id, 2)
	if page := b.page("/jobs/" + frame); !strings.Contains(page, `Frame 2 of <a href="/jobs/`+b.id+`"`) {
		t.Error("the operator's page of a frame does not lead to the batch")
	}
	if page := b.page("/" + b.id + "/frames/2"); !strings.Contains(page, `Frame 2 of <a href="/`+b.id+`"`) {
		t.Error("the visitor's page of a frame does not lead to the batch")
	}
	if page := b.page("/" + frame); strings.Contains(page, b.id) {
		t.Error("who has only the address of a frame learns that of the batch")
	}
}

func TestButtonsActOnAllFrames(t *testing.T) {
	t.Parallel()
	b := newBench(t).newBatch(3)
	b.end(0, jobs.Failed)
	b.end(1, jobs.Failed)
	b.tell(3)
	form := "verb=retry&confirm=yes&all=yes&state=failed&label=batch%3D" + b.id + "&back=" + b.id
	for _, part := range []string{`action="/jobs/act"`, `name="label" value="batch=` + b.id + `"`, `name="back" value="` + b.id + `"`} {
		if page := b.page("/jobs/" + b.id); !strings.Contains(page, part) {
			t.Errorf("no %s in the form", part)
		}
	}
	r := b.ask(http.MethodPost, "/jobs/act", form, "Content-Type: application/x-www-form-urlencoded", "Origin: http://127.0.0.1:8420")
	if page := bodyOf(t, r); r.StatusCode != http.StatusOK || !strings.Contains(plainWords(page), "2 jobs queued again.") || !strings.Contains(page, `href="/jobs/`+b.id+`"`) {
		t.Errorf("%d: %s", r.StatusCode, plainWords(page))
	}
	if got, _ := cellsOf(b.page("/jobs/" + b.id)); !slices.Equal(got, []string{"frame 0: queued", "frame 1: queued", "frame 2: queued"}) {
		t.Errorf("after the retry: %q", got)
	}
	b.finish(b.id, b.attempt, ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed, Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "frames failed"}})
	b.p.pages.Forget()
	page := b.page("/jobs/" + b.id)
	if strings.Contains(page, "Cancel all") || !strings.Contains(page, "Retry all failed") || !strings.Contains(page, `<input type="hidden" name="verb" value="retry">`) {
		t.Errorf("the buttons of a batch that failed: %s", page)
	}
	if words := plainWords(page); !strings.Contains(words, "3 queued") || !strings.Contains(words, "50 % ran at most11 s") {
		t.Errorf("a batch that failed: %s", words)
	}
}

// image returns a drawing of its own for a frame.
func image(number int) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="160" height="90"><rect width="160" height="90" fill="hsl(%d 45%% 60%%)"/><circle cx="%d" cy="45" r="22" fill="#fff"/></svg>`, number*23%360, 25+number*11%110)
}

func framesInBrowser(t *testing.T, chromium context.Context) {
	b := newBench(t).newBatch(60)
	b.register(2)
	for i := range 44 {
		state := jobs.Succeeded
		switch {
		case i == 17 || i == 18 || i == 31:
			state = jobs.Failed
		case i == 20:
			state = jobs.Cancelled
		case i > 40:
			state = jobs.Running
		}
		b.end(i, state)
	}
	b.tell(60)
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	for name, path := range map[string]string{"visitor": "/" + b.id, "operator": "/jobs/" + b.id} {
		tab.Do(chromedp.Navigate(base + path))
		tab.Until(`document.querySelectorAll('.cells a').length === 60`)
		tab.CheckLook("batch-" + name)
	}
	tab.Do(chromedp.Navigate(base + "/" + b.id + "?sort=time"))
	tab.CheckLook("batch-slowest")
	tab.Do(chromedp.Navigate(base + "/" + b.id + "?state=failed"))
	tab.Until(`document.querySelectorAll('.cells a').length === 3`)
	tab.Shoot("batch-failed-frames")
	for _, path := range []string{"/" + b.id, "/jobs/" + b.id} {
		tab.Do(chromedp.Navigate(base + path))
		tab.Until(`document.querySelectorAll('.cells a').length === 60`)
		browsertest.Evaluate[bool](tab, `(() => { document.querySelectorAll('.cells a')[5].focus(); return true; })()`)
		number := map[bool]int{true: 44, false: 45}[path == "/"+b.id]
		b.end(number, jobs.Failed)
		b.tell(60)
		tab.Until(fmt.Sprintf(`document.querySelectorAll('.cells a')[%d].className === 'is-failed'`, number))
		if !browsertest.Evaluate[bool](tab, `document.activeElement === document.querySelectorAll('.cells a')[5]`) {
			t.Error("the focus is lost when frames change")
		}
	}
	tab.CheckComplaints()
}

func imagesInBrowser(t *testing.T, chromium context.Context) {
	b := newBench(t).newBatch(30)
	for i := range 27 {
		id := jobs.FrameID(b.id, i)
		b.end(i, jobs.Succeeded, jobs.Artifact{Name: "notes.txt", Size: 1}, b.file(id, "out frame.svg", image(i)))
	}
	b.end(27, jobs.Failed)
	summary := b.tell(30)
	now := time.Now().UTC()
	document, err := json.Marshal(jobs.Result{ID: b.id, Program: jobs.BatchProgram, State: jobs.Succeeded, Timestamp: now, Finished: now, Attempt: 1, Node: testNode, Result: summary})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Create(t.Context(), store.ResultKey(b.id), document); err != nil {
		t.Fatal(err)
	}
	b.finish(b.id, b.attempt, ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded})
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	for name, path := range map[string]string{"visitor": "/" + b.id, "operator": "/jobs/" + b.id} {
		tab.Do(chromedp.Navigate(base + path))
		for tries := 0; !browsertest.Evaluate[bool](tab, `document.querySelectorAll('.cells img').length === 27`); tries++ {
			if tries == 50 {
				t.Fatalf("%s does not see the images", name)
			}
			tab.Do(chromedp.Navigate(base + path))
		}
		tab.Until(`[...document.querySelectorAll('.cells img')].every((i) => { i.loading = 'eager'; return i.complete && i.naturalWidth > 0; })`)
		tab.CheckLook("batch-images-" + name)
	}
}

func manyFramesInBrowser(t *testing.T, chromium context.Context) {
	b := newBench(t).newBatch(2500)
	for i := range 600 {
		switch {
		case i%97 == 13:
			b.end(i, jobs.Failed)
		case i < 590:
			b.end(i, jobs.Succeeded)
		default:
			b.end(i, jobs.Running)
		}
	}
	b.tell(2500)
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(base + "/" + b.id))
	tab.Until(`document.querySelectorAll('.cells a').length === 500`)
	tab.Shoot("batch-many")
	tab.CheckAccess("batch of many frames")
	browsertest.Evaluate[bool](tab, `(() => { document.querySelector('.skipcells').focus(); return true; })()`)
	tab.Do(chromedp.KeyEvent(kb.Enter))
	tab.Until(`document.activeElement.id === 'after-frames'`)
	tab.Do(chromedp.Click(chromedp.CSS(`.cells li:nth-child(5) a`)))
	tab.Until(`document.querySelectorAll('.cells a').length === 5`)
	tab.Shoot("batch-range")
	tab.CheckAccess("range of frames")
	tab.CheckComplaints()
}
