package publisher

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// recordStates records what the elements say, also what they say for a moment only, and
// the events that reach the document.
const recordStates = `(() => {
	globalThis.said = [];
	globalThis.events = [];
	globalThis.element = document.querySelector('runnerbean-result');
	globalThis.watch = (el) => new MutationObserver(() => said.push(el.shadowRoot.querySelector('[part=state]').textContent)).observe(el.shadowRoot, {subtree: true, childList: true, characterData: true, attributes: true});
	watch(element);
	for (const type of ['state', 'connection', 'error']) document.addEventListener(type, (e) => events.push(type + ' ' + (e.detail?.state ?? e.detail?.message ?? e.detail?.connected)));
})(), null`

// elementIsRendered changes the page as frameworks do. The element must not show
// anything else for a moment, nor ask again.
func elementIsRendered(t *testing.T, chromium context.Context) {
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	p := b.proxy(nil)
	tab := browsertest.NewTab(t, chromium)
	src := p.url + "/" + id
	tab.Do(chromedp.Navigate(embedder(t, p.url, `<div id=one>`+elementOf(src)+`</div><div id=two></div>`)))
	b.report(id, 0.5)
	tab.Until(progressIs(0.5))
	b.watched(1) // its stream is open
	asked := p.requests()
	browsertest.Evaluate[any](tab, recordStates)
	fresh := `fresh = document.createElement('runnerbean-result'); fresh.src = element.src; `
	for what, change := range map[string]string{
		"moved":                     `two.append(element)`,
		"removed and inserted":      `element.remove(); one.append(element)`,
		"the same attribute":        `for (let i = 0; i < 50; i++) element.setAttribute('src', element.src)`,
		"the same property":         `for (let i = 0; i < 50; i++) element.src = element.src`,
		"attribute removed and set": `const {src} = element; element.removeAttribute('src'); element.src = src`,
		"another and back":          `const {src} = element; element.src = '/elsewhere'; element.src = src`,
		"replaced":                  `const ` + fresh + `element.replaceWith(fresh); element = fresh; queueMicrotask(() => watch(fresh))`,
		"removed, and another":      `const ` + fresh + `element.remove(); two.append(fresh); element = fresh; queueMicrotask(() => watch(fresh))`,
	} {
		browsertest.Evaluate[any](tab, `(() => { `+change+` })(), null`)
		// What a page shows is what is there when it is painted.
		browsertest.Evaluate[any](tab, `globalThis.painted = null, requestAnimationFrame(() => { painted = element.shadowRoot.querySelector('[part=state]').textContent + element.shadowRoot.querySelector('progress').value }), null`)
		tab.Until(`painted`)
		if got := browsertest.Evaluate[string](tab, `painted`); got != "Running on node10.5" {
			t.Errorf("%s: %q was painted", what, got)
		}
	}
	b.report(id, 0.75)
	tab.Until(`element.shadowRoot.querySelector('progress').value === 0.75 && element.result.progress === 0.75`)
	if got := browsertest.Evaluate[[]string](tab, `said.filter((s) => s !== 'Running on node1')`); len(got) > 0 {
		t.Errorf("the element said %q", got)
	}
	if got := p.requests() - asked; got != 0 {
		t.Errorf("%d more requests", got)
	}
	// Each of the two new elements told the state that it began with.
	if got, want := browsertest.Evaluate[string](tab, `events.join()`), "state running,state running,state running"; got != want {
		t.Errorf("the events were %s, want %s", got, want)
	}
	tab.CheckComplaints()

	browsertest.Evaluate[any](tab, `element.remove()`)
	b.watched(0) // who is removed for good asks no more
	b.report(id, 0.875)
	browsertest.Evaluate[any](tab, `two.append(element)`)
	tab.Until(`element.shadowRoot.querySelector('progress').value === 0.875`)
	if got := browsertest.Evaluate[[]string](tab, `said.filter((s) => s !== 'Running on node1')`); len(got) > 0 {
		t.Errorf("the element said %q after it was inserted again", got)
	}
	tab.CheckComplaints()
}

func (p *proxy) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queries)
}

// elementAsksAgain sets the same URL after a retry.
func elementAsksAgain(t *testing.T, chromium context.Context) {
	b := newBench(t)
	id := b.failed()
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(embedder(t, base, elementOf(base+"/"+id))))
	tab.Until(stateIs("Failed"))
	b.watched(0)
	b.do(ledger.VerbRetry, id)
	browsertest.Evaluate[any](tab, recordStates)
	browsertest.Evaluate[any](tab, `element.src = element.src, null`)
	tab.Until(stateIs("Queued"))
	b.running(id)
	tab.Until(stateIs("Running"))
	b.succeed(id, 2, "3")
	tab.Until(stateIs("Succeeded"))
	browsertest.Evaluate[any](tab, `element.setAttribute('src', element.src), null`)
	tab.Until(`element.matches(':state(succeeded)')`)
	if got := browsertest.Evaluate[string](tab, `said.join()`); strings.Contains(got, "Asking") {
		t.Errorf("the element said %s", got)
	}
	tab.CheckComplaints()
}

// elementIsProgrammed uses what a program sees: the property, events, states, the slot.
func elementIsProgrammed(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Waiting}
		n.known = false
	})
	tab := browsertest.NewTab(t, chromium, "404", "favicon.ico", "not an http(s) URL")
	tab.Do(chromedp.Navigate(n.url + "/assets/words.js")) // a page without the element
	browsertest.Evaluate[any](tab, fmt.Sprintf(`(() => {
		globalThis.events = [];
		globalThis.element = document.createElement('runnerbean-result');
		globalThis.skeleton = element.appendChild(document.createElement('i'));
		skeleton.textContent = 'A moment';
		element.src = '/%s';
		const section = document.body.appendChild(document.createElement('section'));
		section.attachShadow({mode: 'open'}).append(element);
		for (const type of ['state', 'error']) section.parentNode.addEventListener(type, (e) => events.push(type + ' ' + (e.detail.state ?? e.detail.message) + ' ' + e.target.localName + ' ' + (e.composedPath()[0] === element)));
		globalThis.inside = (part) => element.shadowRoot.querySelector('[part=' + part + ']');
		globalThis.states = () => ['waiting', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'connecting', 'lost', 'error'].filter((s) => element.matches(':state(' + s + ')')).join();
		import('/runnerbean.js');
	})(), null`, testID))
	tab.Until(`states() === 'connecting' && element.getAttribute('src') === element.src`)
	if !browsertest.Evaluate[bool](tab, `skeleton.checkVisibility() && inside('state').hidden`) {
		t.Error("what the page shows until there is a document is not shown, or not alone")
	}
	n.mu.Lock()
	n.known = true
	n.mu.Unlock()
	tab.Until(`states() === 'waiting' && !skeleton.checkVisibility() && inside('state').checkVisibility()`)
	for _, state := range []jobs.State{jobs.Queued, jobs.Running, "resting", jobs.Cancelled} {
		n.set(func(r *jobs.Result) { r.State = state })
		tab.Until(`element.result.state === '` + string(state) + `'`)
		if got := browsertest.Evaluate[string](tab, `states()`); got != strings.Replace(string(state), "resting", "", 1) {
			t.Errorf("%s has the states %s", state, got)
		}
	}
	browsertest.Evaluate[any](tab, `element.src = 'javascript:1', null`)
	tab.Until(`states() === 'error' && !skeleton.checkVisibility()`)
	browsertest.Evaluate[any](tab, `element.src = null`)
	tab.Until(`states() === '' && skeleton.checkVisibility() && element.src === '' && element.result === null && !element.shadowRoot.innerHTML.includes('http(s)')`)
	want := "state waiting,state queued,state running,state resting,state cancelled,error follow: not an http(s) URL"
	if got := browsertest.Evaluate[string](tab, `events.join()`); got != strings.ReplaceAll(want, ",", " section true,")+" section true" {
		t.Errorf("the events were %s", got)
	}
	// A window of its own, such as picture in picture, is another document.
	if got := browsertest.Evaluate[string](tab, `(() => {
		const frame = document.body.appendChild(document.createElement('iframe'));
		frame.contentDocument.body.append(element);
		return getComputedStyle(inside('state')).fontWeight;
	})()`); got != "600" {
		t.Errorf("in another document the state has the weight %s", got)
	}
	tab.CheckComplaints()
}
