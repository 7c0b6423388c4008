package pages

import (
	"bytes"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func render(t *testing.T, d jobview.Data) string {
	t.Helper()
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "result.html", resultPage{Job: jobview.New(d)}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	tags     = regexp.MustCompile(`<[^>]*>`)
	blanks   = regexp.MustCompile(`\s+`)
	sentence = regexp.MustCompile(`(?s)id="verdict">(.*?)</p>`)
)

// plainWords returns the text of markup.
func plainWords(markup string) string {
	return strings.TrimSpace(blanks.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(markup, "")), " "))
}

func TestHostileStringsAreHarmless(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"element":     `</title></pre><script>alert(1)</script>`,
		"attribute":   `" onmouseover="alert(1)" x="`,
		"single":      `' onmouseover='alert(1)`,
		"comment":     `--><!--`,
		"entity":      `&lt;script&gt;`,
		"bidi":        "a\u202eb\u2066c",
		"invisible":   "a\u200bb\ufeffc\U000e0041",
		"control":     "a\x00b\x07c\x7fd\u0085e",
		"terminal":    "\x1b[2J\x1b]0;title\x07x",
		"not UTF-8":   "a\xff\xfeb",
		"separators":  "a\u2028b\u2029c",
		"very long":   strings.Repeat("long", 100_000),
		"template":    `{{.Root}}{{template "head"}}`,
		"url":         `javascript:alert(1)`,
		"data url":    `data:text/html,<script>alert(1)</script>`,
		"schemeless":  `//evil.example/x`,
		"backslashes": `/\evil.example/x`,
		"userinfo":    `https://trusted.example@evil.example/`,
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := json.Marshal(map[string]any{"result": s})
			if err != nil {
				t.Fatal(err)
			}
			for _, state := range jobs.States {
				r := jobs.Result{
					ID: s, Program: s, State: state, Node: s, Message: s, Reason: s, Timestamp: noon, Started: noon, Finished: noon,
					Counters: map[string]float64{s: 1}, Result: doc, Error: &jobs.Error{Class: jobs.Outcome(s), Message: s, Pointer: s, LogTail: s},
					Artifacts:  []jobs.Artifact{{Name: s, URL: s, SHA256: s}},
					Provenance: &jobs.Provenance{ProgramSHA256: s, Inputs: []jobs.Source{{Name: s, URL: s, SHA256: s}}},
				}
				checkHarmless(t, render(t, jobview.Data{Result: r, ResultJSON: doc, LogTail: []byte(s), LogURL: s, JSONURL: s, EventsURL: s, Root: httpio.BasePath(s)}))
			}
		})
	}
}

var (
	scripts = regexp.MustCompile(`<script[^>]*>`)
	links   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	quoted  = regexp.MustCompile(`"[^"]*"`)
	handler = regexp.MustCompile(`<[^>]*\s(?:on\w+|style)\s*=[^>]*>`)
)

func checkHarmless(t *testing.T, page string) {
	t.Helper()
	for _, s := range scripts.FindAllString(page, -1) {
		if !strings.HasSuffix(s, `/assets/page.js">`) {
			t.Errorf("a script: %s", s)
		}
	}
	if m := handler.FindString(quoted.ReplaceAllString(page, `""`)); m != "" {
		t.Errorf("a handler or style: %.200s", m)
	}
	for _, m := range links.FindAllStringSubmatch(page, -1) {
		to := html.UnescapeString(m[1])
		if to != text.Link(to) && !strings.HasPrefix(to, "?") {
			t.Errorf("a link to %.100s", to)
		}
	}
	for _, r := range page {
		if r != '\n' && r != '\t' && (logtext.Hidden(r) || r == 0x1b) {
			t.Errorf("%U came through", r)
			break
		}
	}
	if len(page) > 300_000 {
		t.Errorf("a page of %d bytes", len(page))
	}
}

func TestPublicAssets(t *testing.T) {
	t.Parallel()
	if a, err := NewAssets(noon); err != nil || len(a.byPath) != len(published)+4 {
		t.Errorf("%v", err)
	}
}

func BenchmarkRenderPage(b *testing.B) {
	r := jobs.Result{ID: testID, Program: "forecast", State: jobs.Succeeded, Timestamp: noon, Started: noon, Finished: noon, Result: charttest.Forecast(b, 336)}
	doc, err := json.Marshal(r)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := templates.ExecuteTemplate(&bytes.Buffer{}, "result.html", resultPage{Job: jobview.New(jobview.Data{Result: r, ResultJSON: doc})}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPageSaysThatADocumentIsCut(t *testing.T) {
	t.Parallel()
	page := render(t, jobview.Data{Result: jobs.Result{State: jobs.Succeeded}, ResultJSON: []byte(`[` + strings.Repeat("1234567,", 1_000_000) + `1]`), JSONURL: "/x.json"})
	if !strings.Contains(page, `Cut here: the document is longer. <a href="/x.json">Read all of it</a>`) {
		t.Error("a cut document does not say so")
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	running := jobs.Result{State: jobs.Running, Node: "worker1", Attempt: 1, Started: noon.Add(-30 * time.Second)}
	with := func(r jobs.Result, change func(*jobs.Result)) jobs.Result { change(&r); return r }
	ended := func(s jobs.State, e *jobs.Error) jobs.Result {
		return jobs.Result{State: s, Node: "worker1", Attempt: 1, Started: noon.Add(-90 * time.Second), Finished: noon, Error: e}
	}
	tests := map[string]struct {
		result  jobs.Result
		verdict string
		also    []string
	}{
		"waiting":     {jobs.Result{State: jobs.Waiting, Reason: "needs 2 jobs"}, "Waiting for other jobs.", []string{"needs 2 jobs", "refresh"}},
		"queued":      {jobs.Result{State: jobs.Queued}, "Queued.", []string{"refresh"}},
		"next":        {jobs.Result{State: jobs.Queued, Position: ptr(0)}, "Queued, next in line.", nil},
		"second":      {jobs.Result{State: jobs.Queued, Position: ptr(1)}, "Queued, 1 job before it.", nil},
		"third":       {jobs.Result{State: jobs.Queued, Position: ptr(2)}, "Queued, 2 jobs before it.", nil},
		"later":       {jobs.Result{State: jobs.Queued, NotBefore: noon.Add(time.Hour)}, "Queued, earliest start 22 Nov 2026, 13:00:00 UTC.", nil},
		"after error": {jobs.Result{State: jobs.Queued, Attempt: 1, Reason: "retried in 20 s", Error: &jobs.Error{Class: jobs.OutcomeError, Message: "exit code 1"}}, "Queued.", []string{"retried in 20 s", "The attempt before: the program ended in error: exit code 1"}},
		"running":     {running, "Running on worker1 since 22 Nov 2026, 11:59:30 UTC.", []string{"<progress", "refresh"}},
		"at 25 %": {
			with(running, func(r *jobs.Result) { r.Progress, r.Message, r.Attempt = ptr(0.25), "week 3", 2 }),
			"Running on worker1 since 22 Nov 2026, 11:59:30 UTC, attempt 2.",
			[]string{`value="0.2500"`, "25 %", "week 3", "about 1 min 30 s left", "<title>forecast: running 25 %</title>"},
		},
		"nonsense progress":  {with(running, func(r *jobs.Result) { r.Progress = ptr(7.5) }), "Running on worker1 since 22 Nov 2026, 11:59:30 UTC.", nil},
		"succeeded":          {with(ended(jobs.Succeeded, nil), func(r *jobs.Result) { r.Result = json.RawMessage(`[1,2]`) }), "Succeeded on worker1 after 1 min 30 s, finished 22 Nov 2026, 12:00:00 UTC.", []string{"[1, 2]"}},
		"failed":             {ended(jobs.Failed, &jobs.Error{Class: jobs.OutcomeTimeout, Message: "1m30s are over", Pointer: "/input/data", LogTail: "last words"}), "Failed on worker1 after 1 min 30 s, ended 22 Nov 2026, 12:00:00 UTC.", []string{"It ran longer than allowed: 1m30s are over", "/input/data", "last words"}},
		"never started":      {jobs.Result{State: jobs.Failed, Finished: noon, Error: &jobs.Error{Class: jobs.ClassDocument, Message: "program: unknown"}}, "Failed, ended 22 Nov 2026, 12:00:00 UTC.", []string{"The job document has a fault: program: unknown"}},
		"cancelled":          {ended(jobs.Cancelled, &jobs.Error{Class: jobs.OutcomeCancelled, Message: "by alice"}), "Cancelled on worker1 after 1 min 30 s, ended 22 Nov 2026, 12:00:00 UTC.", []string{"It was cancelled: by alice"}},
		"a state unheard of": {jobs.Result{State: "dreaming"}, "dreaming.", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := test.result
			r.ID, r.Program, r.Timestamp = testID, "forecast", noon
			page := render(t, jobview.Data{Result: r, ResultJSON: []byte(`{"id":"x"}`), Root: "/rb"})
			m := sentence.FindStringSubmatch(page)
			if m == nil {
				t.Fatalf("no verdict in %s", page)
			}
			if diff := cmp.Diff(test.verdict, plainWords(m[1])); diff != "" {
				t.Error(diff)
			}
			seen := page + plainWords(page)
			for _, part := range append(test.also, testID, `href="/rb/assets/style.css"`, `src="/rb/assets/page.js"`) {
				if !strings.Contains(seen, part) {
					t.Errorf("no %q in %s", part, page)
				}
			}
			if r.State.Final() && strings.Contains(page, "http-equiv") {
				t.Error("a final page reloads itself")
			}
		})
	}
}

const testID = "019a8f3e-7c21-7b5e-9d3a-2f6f0c1d7f31"

func TestPageShowsAShortResultAsText(t *testing.T) {
	t.Parallel()
	page := render(t, jobview.Data{Result: jobs.Result{State: jobs.Succeeded, Result: []byte(`{"list":[1,{"a":2}]}`)}})
	if want := `aria-label="Result">{&#34;list&#34;: [1, {&#34;a&#34;: 2}]}</pre>`; !strings.Contains(page, want) {
		t.Errorf("no %q in %s", want, page)
	}
}
