package pages

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/text"
)

// poison sets every string in v, keys of maps as well.
func poison(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), s)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i), s)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), s)
		}
	case reflect.Map:
		poisonMap(v, s)
	}
}

func poisonMap(v reflect.Value, s string) {
	if v.Type().Key().Kind() != reflect.String || v.Len() == 0 {
		return
	}
	key := reflect.ValueOf(s).Convert(v.Type().Key())
	v.SetMapIndex(key, v.MapIndex(v.MapKeys()[0]))
}

func poisonedEvents(t *testing.T, s string) string {
	t.Helper()
	page := api.EventPage{Events: make([]api.Event, 3)}
	poison(reflect.ValueOf(&page).Elem(), s)
	page.Next = "cursor" // as the ledger returns it
	q := url.Values{}
	for _, name := range eventNames {
		q.Set(name, s)
	}
	q = eventValues(q)
	v := &eventsView{frame: frame{Title: "Events"}, Filter: newEventsFilter(q, []api.Node{{Name: s}})}
	v.list(page, q, q.Get("text"))
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "event_list.html", v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hostileDashboard opens pages in which every string comes from an attacker.
func hostileDashboard(t *testing.T, chromium context.Context) {
	n := newFakeDashboard(t, "")
	b := browsertest.NewTab(t, chromium)
	for name, s := range hostileTexts {
		o := sampleOverview(noon)
		poison(reflect.ValueOf(&o).Elem(), s)
		o.Window.Name = "1h"
		for page, markup := range map[string]string{
			"overview": renderOverview(t, o, ""), "by program": renderOverview(t, o, "program"), "events": poisonedEvents(t, s),
		} {
			checkHostile(t, b, n, name+", "+page, markup)
		}
	}
	b.CheckComplaints()
}

func checkHostile(t *testing.T, b *browsertest.Tab, n *fakeDashboard, name, markup string) {
	t.Helper()
	if len(markup) > 256<<10 {
		t.Errorf("%s: the page has %d bytes", name, len(markup))
	}
	n.set(markup, false)
	b.Look(390, "light")
	b.Do(chromedp.Navigate(n.url))
	fault := browsertest.Evaluate[string](b, `(() => {
		if (window.hacked) return 'a script ran';
		if (document.scripts.length !== 1 || document.images.length) return 'an element was injected';
		if (document.querySelectorAll('main').length !== 1 || !document.querySelector('footer')) return 'the page is broken';
		for (const el of document.querySelectorAll('*')) for (const {name, value} of el.attributes) {
			if (name.startsWith('on') || name === 'style' || name === 'dir') return 'attribute ' + name;
			if ((name === 'href' || name === 'src' || name === 'action') && /^\s*javascript/i.test(value)) return name + ' ' + value;
		}
		if (/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u001b\u0000]/.test(document.documentElement.outerHTML)) return 'hidden characters';
		if (document.documentElement.scrollWidth > innerWidth) return 'it is ' + document.documentElement.scrollWidth + ' pixels wide';
		return '';
	})()`)
	if fault != "" {
		t.Errorf("%s: %s", name, fault)
	}
}

// withoutScripts opens a page in a browser that runs no scripts.
func withoutScripts(t *testing.T, chromium context.Context) {
	n := newFakeDashboard(t, renderOverview(t, sampleOverview(noon), ""))
	b := browsertest.NewTab(t, chromium)
	b.ForbidScripts()
	b.Do(chromedp.Navigate(n.url))
	page := browsertest.Evaluate[string](b, `document.body.innerText`)
	for _, want := range []string{"1,284", "One node is late", "since 22 Nov 2026, 11:59:00 UTC", text.Moment(noon.Add(-9 * time.Second)).Brief(), "forecast", "worker2", "no longer needed"} {
		if !strings.Contains(page, want) {
			t.Errorf("without scripts there is no %q in %s", want, page)
		}
	}
	if w := browsertest.Evaluate[string](b, `document.querySelector('#rest time').textContent`); strings.HasSuffix(w, "ago") {
		t.Errorf("a script ran: %q", w)
	}
	b.Shoot("overview-without-scripts")
	b.CheckComplaints()
}

// liveKeepsWhatAPersonDoes changes a page while a person uses it.
func liveKeepsWhatAPersonDoes(t *testing.T, chromium context.Context) {
	page := func(rows ...string) string {
		var list strings.Builder
		for _, r := range rows {
			fmt.Fprintf(&list, `<li data-key="%[1]s" id="r%[1]s"><label><input type="checkbox" value="%[1]s"> row %[1]s</label> <a href="/%[1]s">link %[1]s</a></li>`, r)
		}
		var b bytes.Buffer
		f := frame{Title: rows[0], Verdict: verdictView{Tone: "ok", Text: "First is " + rows[0] + "."}}
		if err := templates.ExecuteTemplate(&b, "top", f); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, `<h1>Live</h1><section id="s" data-live><details id="d"><summary>More</summary><p>inside %s</p></details><input aria-label="t" id="t" value=""><ul>%s</ul><progress id="p" value="0.%d" aria-label="p"></progress></section></main>`, rows[0], list.String(), len(rows))
		return b.String()
	}
	n := newFakeDashboard(t, page("b", "c"))
	b := browsertest.NewTab(t, chromium, "503", "ERR_", "MIME type")
	b.Do(chromedp.Navigate(n.url))
	b.Until(`document.querySelector('#rb')`)
	browsertest.Evaluate[bool](b, `(() => { window.kept = document.getElementById('rc'); d.open = true; t.value = 'typed'; kept.querySelector('input').checked = true;
		kept.querySelector('a').focus(); getSelection().selectAllChildren(kept.querySelector('label')); return true; })()`)
	n.set(page("a", "b", "c"), false)
	b.Until(`document.querySelector('#ra') && document.title.startsWith('a')`)
	if fault := browsertest.Evaluate[string](b, `(() => {
		if (document.getElementById('rc') !== kept || !kept.querySelector('input').checked) return 'the ticked row';
		if (document.activeElement !== kept.querySelector('a')) return 'the focus';
		if (!d.open || t.value !== 'typed') return 'open details or typed text';
		if (!getSelection().toString().includes('row c')) return 'the selection';
		if ([...document.querySelectorAll('li')].map((l) => l.dataset.key).join() !== 'a,b,c') return 'the order';
		if (said.textContent !== 'First is a.') return 'a word to those who do not see';
		if (p.value !== 0.3 || !document.querySelector('#verdict').textContent.includes('First is a.')) return 'news';
		return '';
	})()`); fault != "" {
		t.Errorf("the page has lost %s", fault)
	}
	n.set(page("c"), true)
	n.closeStreams()
	b.Until(`!away.hidden && away.textContent.startsWith('Not connected since')`)
	n.set(page("c"), false)
	b.Until(`away.hidden && !document.querySelector('#ra')`)
	b.CheckComplaints()
}

// hostileTexts are what an attacker may write into any string.
var hostileTexts = map[string]string{
	"script":    `"'><script>window.hacked=1</script><img src=x onerror=window.hacked=1><svg onload=window.hacked=1>`,
	"link":      "javascript:window.hacked=1",
	"template":  "{{.Root}}${window.hacked=1}`</main></body>",
	"bidi":      "abc\u202e\u2066txt.exe\u2069\u200f",
	"terminal":  "\x1b[31mred\x1b]8;;http://evil.example\x07link\x00\r\n",
	"broken":    "\xff\xfe\xc0\x80",
	"long word": strings.Repeat("W", 5000),
	"long line": strings.Repeat("a line of 10 MB ", 10<<20/16),
	"empty":     "",
}
