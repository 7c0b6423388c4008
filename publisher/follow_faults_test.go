package publisher

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
)

// TestFollowFaultsInChromium runs the tests of what a page learns about a bad connection. It is
// not parallel: the time of a browser is limited, and others would take turns with it.
func TestFollowFaultsInChromium(t *testing.T) {
	chromium := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"a dead server is told":            deadServerIsTold,
		"a silent network is told":         silentNetworkIsTold,
		"a 404 after an outage":            missingAfterAnOutage,
		"a 404 after a restart":            missingAfterARestart,
		"answers that are no results":      oddAnswersAreTold,
		"an answer that may not be read":   unreadableAnswerIsTold,
		"a policy that forbids requests":   policyIsTold,
		"an abort while nobody waits":      abortWhileNobodyWaits,
		"header fields and another fetch":  fieldsAndFetch,
		"a deleted job in a shared stream": deletedJobAmongOthers,
		"events that are too long":         longEvents,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, chromium)
		})
	}
}

// oneResult has a page that follows the only job of a server.
func oneResult(t *testing.T, chromium context.Context, f faults) (s *resultServer, tab *browsertest.Tab, run string) {
	id := newIDs(1)[0]
	s = newResultServer(t, id)
	s.fail(f)
	tab = s.module(t, chromium, "Failed to load resource", "ERR_", "blocked by CORS")
	browsertest.Evaluate[any](tab, `start('`+id+`'), null`)
	return s, tab, `runs['` + id + `']`
}

func deadServerIsTold(t *testing.T, chromium context.Context) {
	s, tab, run := oneResult(t, chromium, faults{})
	s.eventually(t, "a stream", func() bool { return len(s.open) == 1 })
	tab.Until(run + `.status.at(-1)?.connected && ` + run + `.status.at(-1).problem === null && ` + run + `.status.at(-1).since === null`)
	s.fail(faults{dead: true})
	tab.Until(run + `.status.at(-1).problem?.reason === 'unreachable'`)
	tab.Until(run + `.status.filter((s) => !s.connected).length > 1`) // at each try
	if !browsertest.Evaluate[bool](tab, `((s) => !s.connected && s.since <= new Date() && s.retry > s.since)(`+run+`.status.at(-1))`) {
		t.Errorf("the status is %s", browsertest.Evaluate[string](tab, `JSON.stringify(`+run+`.status.at(-1))`))
	}
	s.fail(faults{})
	s.progress(0.5)
	tab.Until(run + `.docs.at(-1).progress === .5 && ` + run + `.status.at(-1).connected`)
	tab.CheckComplaints()
}

// silentNetworkIsTold has a network that loses everything. Timers are faster, so that the time
// without comments passes soon.
func silentNetworkIsTold(t *testing.T, chromium context.Context) {
	id := newIDs(1)[0]
	s := newResultServer(t, id)
	tab := browsertest.NewTab(t, chromium, "Failed to load resource", "ERR_")
	tab.Do(chromedp.Navigate(s.site(t)))
	browsertest.Evaluate[any](tab, `(() => { const set = setTimeout; globalThis.setTimeout = (f, ms, ...more) => set(f, ms / 10, ...more); })(), null`)
	s.load(tab)
	run := `runs['` + id + `']`
	browsertest.Evaluate[any](tab, `start('`+id+`'), null`)
	s.eventually(t, "a stream", func() bool { return len(s.open) == 1 })
	tab.Until(run + `.docs.length === 1`)
	s.fail(faults{mute: true})
	tab.Until(run + `.status.at(-1).problem?.reason === 'silent' && !` + run + `.status.at(-1).connected`)
	s.fail(faults{})
	s.progress(0.5)
	tab.Until(run + `.docs.at(-1).progress === .5 && ` + run + `.status.at(-1).connected`)
	tab.CheckComplaints()
}

// pass lets seconds pass in a page, in steps that are no sleep.
func pass(tab *browsertest.Tab, seconds int) {
	browsertest.Evaluate[any](tab, fmt.Sprintf(`(() => { const now = Date.now; Date.now = () => now() + %d; })(), null`, seconds*1000))
}

// missingAfterAnOutage has a server that cannot be reached when the page starts, and does not
// know the job at first when it is back.
func missingAfterAnOutage(t *testing.T, chromium context.Context) {
	s, tab, run := oneResult(t, chromium, faults{dead: true})
	tab.Until(run + `.status.at(-1)?.connected === false`)
	for range 7 {
		pass(tab, 9)
	}
	s.fail(faults{forgets: true})
	tab.Until(run + `.status.at(-1).problem.reason === 'missing' && ` + run + `.status.at(-1).connected`)
	s.eventually(t, "it is asked for again", func() bool { return s.gets > 2 })
	s.fail(faults{})
	tab.Until(run + `.docs.length === 1 && !` + run + `.error`)
	tab.CheckComplaints()
}

// missingAfterARestart has a server that forgets a job after a page has seen it: for a moment,
// and then for good.
func missingAfterARestart(t *testing.T, chromium context.Context) {
	s, tab, run := oneResult(t, chromium, faults{})
	s.eventually(t, "a stream", func() bool { return len(s.open) == 1 })
	tab.Until(run + `.docs.length === 1`)
	restart := func() {
		s.fail(faults{dead: true})
		s.eventually(t, "no stream", func() bool { return len(s.open) == 0 })
		s.fail(faults{forgets: true})
		tab.Until(run + `.status.at(-1).problem?.reason === 'missing'`)
	}
	restart()
	s.fail(faults{})
	s.progress(0.5)
	tab.Until(run + `.docs.at(-1).progress === .5`)
	restart()
	for range 10 { // less than 10 s at a time, which would be a sleep
		told := browsertest.Evaluate[int](tab, run+`.status.length`)
		pass(tab, 4)
		tab.Until(fmt.Sprintf(`%s.ended || %[1]s.status.length > %d`, run, told))
	}
	tab.Until(run + `.error?.reason === 'missing' && ` + run + `.error.status === 404 && ` + run + `.ended`)
	tab.CheckComplaints()
}

// oddAnswersAreTold has servers that answer with something else, as during maintenance.
func oddAnswersAreTold(t *testing.T, chromium context.Context) {
	for name, instead := range map[string]string{
		"a page":        "text/html <h1>Back soon</h1>",
		"another value": `application/json {"status":"ok"}`,
		"not JSON":      "application/json [",
		"a long string": `application/json "` + strings.Repeat("x", 1000) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a page asks three times, seconds apart
			oddAnswerIsTold(t, chromium, instead)
		})
	}
}

func oddAnswerIsTold(t *testing.T, chromium context.Context, instead string) {
	s, tab, run := oneResult(t, chromium, faults{instead: instead})
	tab.Until(run + `.status.at(-1)?.problem.reason === 'not-a-result'`)
	if !browsertest.Evaluate[bool](tab, `((s) => !s.connected && s.problem.status === 200 && !!s.problem.message && s.retry > s.since)(`+run+`.status.at(-1))`) {
		t.Errorf("the status is %s", browsertest.Evaluate[string](tab, `JSON.stringify(`+run+`.status)`))
	}
	s.fail(faults{})
	tab.Until(run + `.docs.length === 1 && ` + run + `.status.at(-1).connected`)
	s.eventually(t, "a stream", func() bool { return len(s.open) == 1 })
	s.fail(faults{instead: instead}) // the stream goes on
	s.progress(0.5)
	tab.Until(run + `.docs.at(-1).progress === .5`)
	tab.CheckComplaints()
}

func hints(tab *browsertest.Tab) []string {
	return slices.DeleteFunc(tab.Complaints(), func(s string) bool { return !strings.Contains(s, "runnerbean: ") })
}

func unreadableAnswerIsTold(t *testing.T, chromium context.Context) {
	s, tab, run := oneResult(t, chromium, faults{noCORS: true})
	tab.Until(run + `.status.at(-1)?.problem.reason === 'cors'`)
	origin := browsertest.Evaluate[string](tab, `location.origin`)
	tab.Until(run + `.status.length > 3`)
	s.fail(faults{})
	tab.Until(run + `.docs.length === 1 && ` + run + `.status.at(-1).connected`)
	if h := hints(tab); len(h) != 1 || !strings.Contains(h[0], "Access-Control-Allow-Origin: "+origin) {
		t.Errorf("the console says %q", h)
	}
}

func policyIsTold(t *testing.T, chromium context.Context) {
	id := newIDs(1)[0]
	s := newResultServer(t, id)
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(s.site(t) + "?policy=" + url.QueryEscape("default-src 'none'; img-src data:; script-src "+s.url)))
	s.load(tab)
	browsertest.Evaluate[any](tab, `start('`+id+`'), null`)
	tab.Until(`runs['` + id + `'].error?.reason === 'policy' && runs['` + id + `'].error.message.includes(new URL(base).origin)`)
	if h := hints(tab); len(h) != 1 || !strings.Contains(h[0], "connect-src "+s.url) {
		t.Errorf("the console says %q", h)
	}
	if s.is(func() bool { return s.gets > 0 }) {
		t.Error("the policy let a request through")
	}
}

// abortWhileNobodyWaits ends iterations whose consumer is not in next.
func abortWhileNobodyWaits(t *testing.T, chromium context.Context) {
	id := newIDs(1)[0]
	s := newResultServer(t, id)
	tab := s.module(t, chromium)
	for name, end := range map[string]string{"abort": `stop.abort()`, "return": `it.return('x').then((r) => { globalThis.r = r; })`} {
		browsertest.Evaluate[any](tab, `globalThis.r = globalThis.first = null, globalThis.stop = new AbortController(), globalThis.it = follow(base + '`+id+`', {signal: stop.signal}), it.next().then((r) => { globalThis.first = r.value; }), null`)
		tab.Until(`globalThis.first`)
		s.eventually(t, "a stream", func() bool { return len(s.open) == 1 })
		browsertest.Evaluate[any](tab, end+`, null`)
		s.eventually(t, name+" closes the stream", func() bool { return len(s.open) == 0 })
		browsertest.Evaluate[any](tab, `it.next().then((r) => { globalThis.last = r; }), null`)
		tab.Until(`globalThis.last?.done && last.value === undefined`)
		if name == "return" {
			tab.Until(`r.done && r.value === 'x'`)
		}
	}
	// A consumer that waits is told, too.
	browsertest.Evaluate[any](tab, `globalThis.log = [], globalThis.it = follow(base + '`+id+`'), it.next().then(() => { it.next().then((r) => log.push('next ' + r.done)); log.push('first'); }), null`)
	tab.Until(`log.length === 1`)
	browsertest.Evaluate[any](tab, `it.return().then((r) => log.push('return ' + r.done)), null`)
	tab.Until(`log.join() === 'first,next true,return true'`)
	s.eventually(t, "no stream", func() bool { return len(s.open) == 0 })
	tab.CheckComplaints()
}

func fieldsAndFetch(t *testing.T, chromium context.Context) {
	ids := newIDs(4)
	s := newResultServer(t, ids...)
	tab := s.module(t, chromium)
	authorized := func() bool { return s.fields.Get("Authorization") == "Bearer x" }
	browsertest.Evaluate[any](tab, fmt.Sprintf(`start('%s', {headers: {Authorization: 'Bearer x'}}), null`, ids[0]))
	s.eventually(t, "the stream has the field", func() bool { return len(s.open) == 1 && authorized() })
	browsertest.Evaluate[any](tab, fmt.Sprintf(`start('%s', {headers: new Headers([['authorization', 'Bearer x']])}), null`, ids[1]))
	s.eventually(t, "the same field, the same stream", func() bool { return len(s.open) == 1 && len(s.open[0]) == 2 && authorized() })
	browsertest.Evaluate[any](tab, fmt.Sprintf(`start('%s'), null`, ids[2]))
	s.eventually(t, "another stream without it", func() bool { return len(s.open) == 2 && len(s.open[1]) == 1 && s.fields.Get("Authorization") == "" })
	browsertest.Evaluate[any](tab, fmt.Sprintf(`globalThis.sent = [], start('%s', {fetch: (u, o) => { sent.push(new URL(u).pathname); return fetch(u, o); }}), null`, ids[3]))
	tab.Until(fmt.Sprintf(`sent.join() === '/%s,/results/events'`, ids[3]))
	s.progress(0.5)
	tab.Until(`Object.values(runs).every((r) => r.docs.at(-1)?.progress === .5)`)
	tab.CheckComplaints()
}

// deletedJobAmongOthers deletes one of two jobs that share a stream.
func deletedJobAmongOthers(t *testing.T, chromium context.Context) {
	ids := newIDs(2)
	s := newResultServer(t, ids...)
	tab := s.module(t, chromium, "410")
	browsertest.Evaluate[any](tab, fmt.Sprintf(`start('%s'), start('%s'), null`, ids[0], ids[1]))
	s.eventually(t, "a stream for both", func() bool { return len(s.open) == 1 && len(s.open[0]) == 2 })
	tab.Until(`Object.values(runs).every((r) => r.docs.length === 1)`)
	var before int // a stream for one may have come before that for both
	s.change(func() { before = len(s.opened); s.faults.gone = true; delete(s.jobs, ids[0]) })
	tab.Until(fmt.Sprintf(`runs['%s'].error?.reason === 'gone' && runs['%[1]s'].error.status === 410`, ids[0]))
	s.progress(0.5)
	tab.Until(fmt.Sprintf(`runs['%s'].docs.at(-1).progress === .5`, ids[1]))
	if s.is(func() bool { return len(s.opened) != before }) {
		t.Error("the stream of the other job was opened again")
	}
	tab.CheckComplaints()
}

// longEvents has events that are longer than a script keeps. The URL still brings the news.
func longEvents(t *testing.T, chromium context.Context) {
	s, tab, run := oneResult(t, chromium, faults{large: true})
	s.eventually(t, "the stream is closed", func() bool { return len(s.opened) > 0 && len(s.open) == 0 })
	s.progress(0.5)
	tab.Until(run + `.docs.at(-1)?.progress === .5`)
	s.fail(faults{})
	s.eventually(t, "a stream", func() bool { return len(s.open) == 1 })
	tab.CheckComplaints()
}
