package publisher

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
)

// places is how many connections the pages of a site hold.
const places = 3

// TestFollowInChromium runs the tests of connections between pages and a server.
func TestFollowInChromium(t *testing.T) {
	chromium := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"two windows":                       func(t *testing.T, c context.Context) { windowsShow(t, c, 2, faults{}) },
		"five windows":                      func(t *testing.T, c context.Context) { windowsShow(t, c, 5, faults{}) },
		"eight windows":                     func(t *testing.T, c context.Context) { windowsShow(t, c, 8, faults{}) },
		"two windows, a stream a result":    func(t *testing.T, c context.Context) { windowsShow(t, c, 2, faults{noTogether: true}) },
		"five windows, a stream a result":   func(t *testing.T, c context.Context) { windowsShow(t, c, 5, faults{noTogether: true}) },
		"five windows, a proxy buffers":     func(t *testing.T, c context.Context) { windowsShow(t, c, 5, faults{buffers: true}) },
		"a window that closes hands over":   windowHandsOver,
		"a window that hides hands over":    hiddenWindowHandsOver,
		"a page without a place polls":      pageWithoutAPlacePolls,
		"a page that loses its place polls": pageLosesItsPlace,
		"a frame without locks":             frameWithoutLocks,
		"results come and go in a stream":   resultsComeAndGo,
		"a thousand follows leave nothing":  thousandFollows,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, chromium)
		})
	}
}

const allElements = `[...document.querySelectorAll('runnerbean-result')]`

func everyProgressIs(p float64) string {
	return fmt.Sprintf(`%s.every((e) => e.result?.progress === %g)`, allElements, p)
}

// windows are tabs of one site with six elements each, all for different jobs.
type windows struct {
	*resultServer
	tabs []*browsertest.Tab
}

func openWindows(t *testing.T, chromium context.Context, n int, f faults) windows {
	ids := newIDs(6 * n)
	w := windows{resultServer: newResultServer(t, ids...)}
	w.fail(f)
	site := w.site(t)
	for range n {
		w.tabs = append(w.tabs, browsertest.NewTab(t, chromium, "Failed to load resource", "ERR_"))
	}
	for i, tab := range w.tabs {
		tab.Do(chromedp.Navigate(site + "?ids=" + strings.Join(ids[6*i:6*i+6], ",")))
		tab.Until(`document.querySelector('runnerbean-result')`)
	}
	return w
}

// streaming waits until the place of every stream is taken, and returns the numbers of the
// windows that have one.
func (w windows) streaming(t *testing.T, without int) []int {
	t.Helper()
	firsts := make([]string, len(w.tabs))
	for i, tab := range w.tabs {
		if i != without {
			firsts[i] = browsertest.Evaluate[string](tab, `document.querySelector('runnerbean-result').getAttribute('src').split('/').at(-1)`)
		}
	}
	var list []int
	w.eventually(t, "each place has a stream", func() bool {
		list = nil
		for _, jobs := range w.open {
			list = append(list, slices.IndexFunc(firsts, func(id string) bool { return slices.Contains(jobs, id) }))
		}
		return len(list) == places && !slices.Contains(list, -1)
	})
	return list
}

// step changes all jobs, and waits until the windows show it.
func (w windows) step(p float64, without int) {
	w.progress(p)
	for i, tab := range w.tabs {
		if i != without {
			tab.Until(everyProgressIs(p))
		}
	}
}

// windowsShow has windows that show six results each. All must get news, though a browser
// opens only six connections to a server.
func windowsShow(t *testing.T, chromium context.Context, n int, f faults) {
	w := openWindows(t, chromium, n, f)
	w.step(0.25, -1)
	switch {
	case f.buffers:
		w.eventually(t, "requests wait", func() bool { return w.held == places && len(w.open) == 0 })
	case f.noTogether:
		w.eventually(t, "each place has a stream", func() bool { return w.singles == places })
	default:
		w.eventually(t, "each place has a stream", func() bool { return len(w.open) == min(n, places) })
	}
	w.step(0.5, -1)
	w.set(func(r *jobs.Result) { r.State, r.Progress = jobs.Succeeded, nil })
	for _, tab := range w.tabs {
		tab.Until(allElements + `.every((e) => e.result?.state === 'succeeded')`)
		tab.CheckComplaints()
	}
	w.eventually(t, "nothing is held at the end", func() bool { return len(w.open)+w.singles+w.held == 0 })
	w.mu.Lock()
	defer w.mu.Unlock()
	most := places
	if f.noTogether { // streams of one result follow each other; the server may see an end after the next start
		most *= 2
	}
	if w.mostHeld > most {
		t.Errorf("%d connections were held, at most %d are allowed", w.mostHeld, most)
	}
}

// windowHandsOver closes a window that has a stream. One that polls must get its place.
func windowHandsOver(t *testing.T, chromium context.Context) {
	w := openWindows(t, chromium, 4, faults{})
	gone := w.streaming(t, -1)[0]
	if err := chromedp.Cancel(w.tabs[gone].Context); err != nil {
		t.Fatal(err)
	}
	w.streaming(t, gone)
	w.step(0.5, gone)
}

// show makes a page believe that it is hidden, or visible again.
func show(tab *browsertest.Tab, state string) {
	browsertest.Evaluate[any](tab, fmt.Sprintf(`Object.defineProperty(document, 'visibilityState', {get: () => %q, configurable: true}), document.dispatchEvent(new Event('visibilitychange')), null`, state))
}

// hiddenWindowHandsOver hides a window that has a stream, and shows it again.
func hiddenWindowHandsOver(t *testing.T, chromium context.Context) {
	w := openWindows(t, chromium, 4, faults{})
	away := w.streaming(t, -1)[0]
	show(w.tabs[away], "hidden")
	if now := w.streaming(t, away); slices.Contains(now, away) {
		t.Errorf("window %d is hidden; those with a stream are %v", away, now)
	}
	w.step(0.5, -1) // a hidden page asks now and then
	show(w.tabs[away], "visible")
	w.step(0.75, -1)
}

// pageWithoutAPlacePolls has a page of a site whose other windows hold all places, until one
// is free.
func pageWithoutAPlacePolls(t *testing.T, chromium context.Context) {
	id := newIDs(1)[0]
	s := newResultServer(t, id)
	tab := s.module(t, chromium)
	browsertest.Evaluate[any](tab, `globalThis.frees = [], [0, 1, 2].map((n) => navigator.locks.request('runnerbean ' + n + ' ' + new URL(base).origin, () => new Promise((free) => { frees.push(free); }))), null`)
	tab.Until(`frees.length === 3`)
	run := `runs['` + id + `']`
	browsertest.Evaluate[any](tab, `start('`+id+`'), null`)
	for _, p := range []float64{0.25, 0.5, 0.75} {
		s.progress(p)
		tab.Until(fmt.Sprintf(`%s.docs.at(-1)?.progress === %g`, run, p))
	}
	if s.is(func() bool { return len(s.opened)+s.mostHeld > 0 }) {
		t.Error("a connection was held without a place")
	}
	browsertest.Evaluate[any](tab, `frees[1](), null`)
	s.eventually(t, "the place is taken", func() bool { return len(s.open) == 1 })
	s.progress(1)
	tab.Until(run + `.docs.at(-1).progress === 1`)
	if got := browsertest.Evaluate[int](tab, run+`.status.length`); got != 1 {
		t.Errorf("%d statuses of a connection that is well", got)
	}
	tab.CheckComplaints()
}

// pageLosesItsPlace has a page whose stream is opened again for more results, while another
// window takes its place. What the stream brought before must be asked for.
func pageLosesItsPlace(t *testing.T, chromium context.Context) {
	ids := newIDs(4)
	s := newResultServer(t, ids...)
	tab := s.module(t, chromium)
	browsertest.Evaluate[any](tab, `globalThis.held = 0, globalThis.take = (n) => navigator.locks.request('runnerbean ' + n + ' ' + new URL(base).origin, () => new Promise(() => { held++; })), take(0), take(1), null`)
	tab.Until(`held === 2`)
	browsertest.Evaluate[any](tab, `start('`+ids[0]+`'), null`)
	s.eventually(t, "a stream", func() bool { return len(s.open) == 1 })
	tab.Until(`runs['` + ids[0] + `'].docs.length === 1`)
	browsertest.Evaluate[any](tab, `take(2), '`+strings.Join(ids[1:], ",")+`'.split(',').forEach((id) => start(id)), null`)
	tab.Until(`held === 3`)
	for _, p := range []float64{0.3, 0.4, 0.5, 0.6, 0.7} {
		s.progress(p)
		tab.Until(fmt.Sprintf(`runs['%s'].docs.at(-1)?.progress === %g`, ids[1], p))
	}
	if p := browsertest.Evaluate[float64](tab, `runs['`+ids[0]+`'].docs.at(-1).progress`); p < 0.4 {
		t.Errorf("the result whose stream is gone still shows %g", p)
	}
	tab.CheckComplaints()
}

// frameWithoutLocks has elements in a frame of no origin, which may not use locks.
func frameWithoutLocks(t *testing.T, chromium context.Context) {
	ids := newIDs(6)
	s := newResultServer(t, ids...)
	tab := browsertest.NewTab(t, chromium)
	frame := s.site(t) + "?ids=" + strings.Join(ids, ",")
	outer := s.site(t) + "?policy=frame-src+*"
	tab.Do(chromedp.Navigate(outer))
	browsertest.Evaluate[any](tab, fmt.Sprintf(`(() => { const f = document.createElement('iframe'); f.sandbox = 'allow-scripts'; f.src = %q; document.documentElement.append(f); })(), null`, frame))
	s.eventually(t, "one stream for all", func() bool { return len(s.open) == 1 && len(s.open[0]) == 6 })
	s.set(func(r *jobs.Result) { r.State = jobs.Succeeded })
	s.eventually(t, "the stream is closed", func() bool { return len(s.open) == 0 })
	tab.CheckComplaints()
}

// module opens a page without elements and imports follow into it. all keeps what follows
// yield, by job.
func (s *resultServer) module(t *testing.T, chromium context.Context, ignore ...string) *browsertest.Tab {
	tab := browsertest.NewTab(t, chromium, ignore...)
	tab.Do(chromedp.Navigate(s.site(t)))
	s.load(tab)
	return tab
}

// load imports follow into a page.
func (s *resultServer) load(tab *browsertest.Tab) {
	browsertest.Evaluate[any](tab, fmt.Sprintf(`(async () => {
		globalThis.base = %q + '/';
		globalThis.runs = {};
		const {follow} = await import(base + 'runnerbean.js');
		globalThis.start = async (id, options) => {
			const stop = new AbortController(), run = runs[id] = {stop, docs: [], status: [], error: null, ended: false};
			try {
				for await (const doc of follow(base + id, {signal: stop.signal, onStatus: (s) => run.status.push(s), ...options})) run.docs.push(doc);
			} catch (err) { run.error = err; }
			run.ended = true;
		};
		globalThis.follow = follow;
	})(), null`, s.url))
	tab.Until(`globalThis.follow`)
}

// resultsComeAndGo adds results to a page that follows some, and removes them.
func resultsComeAndGo(t *testing.T, chromium context.Context) {
	ids := newIDs(8)
	s := newResultServer(t, ids...)
	tab := s.module(t, chromium)
	list := `['` + strings.Join(ids, `','`) + `']`
	browsertest.Evaluate[any](tab, list+`.slice(0, 4).forEach((id) => start(id)), null`)
	s.eventually(t, "one stream for four", func() bool { return len(s.open) == 1 && len(s.open[0]) == 4 })
	browsertest.Evaluate[any](tab, list+`.slice(4).forEach((id) => start(id)), null`)
	tab.Until(list + `.every((id) => runs[id].docs.length === 1)`) // not only when the stream is opened again
	s.eventually(t, "one stream for all", func() bool { return len(s.open) == 1 && len(s.open[0]) == 8 })
	var before int // on a busy machine a stream for some comes before that for all
	s.change(func() { before = len(s.opened) })
	browsertest.Evaluate[any](tab, list+`.slice(2).forEach((id) => runs[id].stop.abort()), null`)
	tab.Until(list + `.slice(2).every((id) => runs[id].ended)`)
	s.progress(0.5)
	tab.Until(list + `.slice(0, 2).every((id) => runs[id].docs.at(-1).progress === .5)`)
	browsertest.Evaluate[any](tab, list+`.forEach((id) => runs[id].stop.abort()), null`)
	s.eventually(t, "the stream is closed", func() bool { return len(s.open) == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if before >= len(ids) || len(s.opened) > before+1 || s.singles > 0 {
		t.Errorf("%d streams were opened for 8 results, %d in all", before, len(s.opened))
	}
	tab.CheckComplaints()
}

// thousandFollows looks for what many follows leave behind.
func thousandFollows(t *testing.T, chromium context.Context) {
	ids := newIDs(1000)
	s := newResultServer(t, ids...)
	tab := s.module(t, chromium)
	browsertest.Evaluate[any](tab, `(() => {
		globalThis.timers = new Set();
		globalThis.ears = 0;
		const {setTimeout: set, clearTimeout: clear} = globalThis, {addEventListener: add, removeEventListener: remove} = EventTarget.prototype;
		globalThis.setTimeout = (f, ms, ...more) => { const id = set(() => { timers.delete(id); f(...more); }, ms); timers.add(id); return id; };
		globalThis.clearTimeout = (id) => { timers.delete(id); clear(id); };
		EventTarget.prototype.addEventListener = function(type, f, o) { ears++; o?.signal && add.call(o.signal, 'abort', () => ears--); return add.call(this, type, f, o); };
		EventTarget.prototype.removeEventListener = function(...a) { ears--; return remove.apply(this, a); };
	})(), null`)
	list := `['` + strings.Join(ids, `','`) + `']`
	browsertest.Evaluate[any](tab, list+`.forEach((id) => start(id)), null`)
	tab.Until(`Object.values(runs).filter((r) => r.docs.length).length === 1000`)
	s.eventually(t, "streams for 64 each", func() bool { return len(s.open) == places })
	s.progress(0.5)
	tab.Until(`Object.values(runs).filter((r) => r.docs.at(-1)?.progress === .5).length > 64`)
	if browsertest.Evaluate[int](tab, `ears`) == 0 || browsertest.Evaluate[int](tab, `timers.size`) == 0 {
		t.Error("nothing is counted")
	}
	browsertest.Evaluate[any](tab, `Object.values(runs).forEach((r) => r.stop.abort()), null`)
	tab.Until(`Object.values(runs).every((r) => r.ended && !r.error) && !timers.size && !ears`)
	s.eventually(t, "no stream is left", func() bool { return len(s.open)+s.singles+s.held == 0 })
	browsertest.Evaluate[any](tab, `navigator.locks.query().then((q) => { globalThis.locks = q; }), null`)
	tab.Until(`globalThis.locks && locks.held.length + locks.pending.length === 0`)
	tab.CheckComplaints()
}
