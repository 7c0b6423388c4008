package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

const good = `<!doctype html><html lang="en"><title>Good</title><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>a,button{display:inline-block;min-height:24px;min-width:24px}:focus-visible{outline:2px solid}</style>
<header><nav><a href="/">Home</a></nav></header><main><h1>One</h1><h2>Two</h2><p>Text with <a href="/x" style="display:inline">a link</a> in it.</p>
<label>Name <input style="min-height:24px"></label> <button>Go</button> %s</main></html>`

// TestAudit breaks a good page in one way after the other.
func TestAudit(t *testing.T) {
	t.Parallel()
	var page atomic.Value // the browser also asks for an icon, at any time
	page.Store("")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page.Load())
	}))
	t.Cleanup(s.Close)
	b := NewTab(t, Start(t), "favicon")
	b.Look(390, "dark")
	for fault, markup := range map[string]string{
		"":                              "",
		"a field without a label":       `<input style="min-height:24px">`,
		"has no name":                   `<progress value=".5"></progress>`,
		"<a> \"\" has no name":          `<a href="/y"></a>`,
		"has no alt":                    `<img src="data:,">`,
		"neither role=img":              `<svg width="9" height="9"></svg>`,
		"is there 2 times":              `<i id="a"></i><i id="a"></i>`,
		"which is not there":            `<i aria-labelledby="nobody">x</i>`,
		"skips a level":                 `<h4>Four</h4>`,
		"there are 2 h1":                `<h1>Another</h1>`,
		"tabindex above 0":              `<i tabindex="3">x</i>`,
		"hidden from screen readers":    `<div aria-hidden="true"><button>x</button></div>`,
		"scrolls but cannot be reached": `<div style="overflow:auto;height:10px;width:50px">words words words words</div>`,
		"target of":                     `<button style="min-height:0;min-width:0;padding:0;border:0;font-size:9px">x</button>`,
		"sticks out":                    `<div style="width:900px">x</div>`,
		"contrast of":                   `<p style="color:#555;background:#333">x</p>`,
		"<i> \"inside\" has a contrast": `<div><template shadowrootmode="open"><i style="color:#555;background:#333">inside</i></template></div>`,
		"have a contrast":               `<svg role="img" aria-label="x" width="90" height="90"><text y="20" fill="#333">x</text></svg>`,
		"no name though":                `<nav><a href="/n">n</a></nav>`,
		"outside all landmarks":         `</main><div>x</div>`,
	} {
		page.Store(fmt.Sprintf(good, markup))
		b.Do(chromedp.Navigate(s.URL))
		found := strings.Join(b.Audit(), "\n")
		if fault = strings.ReplaceAll(fault, "have a", "has a"); !strings.Contains(found, fault) || fault == "" && found != "" {
			t.Errorf("%s: found %q, want %q", markup, found, fault)
		}
	}
	for fault, markup := range map[string]string{
		"does not show": `<button style="outline:none">x</button>`,
		"does not show that it has the focus: <button id=\"inside\"": `<div><template shadowrootmode="open"><button id="inside" style="outline:none">x</button></template></div>`,
		"cannot be reached": `<button onfocus="this.blur()">x</button>`,
		"out of sight":      `<a href="/z" style="position:fixed;left:-99px">x</a>`,
	} {
		page.Store(fmt.Sprintf(good, markup))
		b.Do(chromedp.Navigate(s.URL))
		if found := strings.Join(b.Walk(), "\n"); !strings.Contains(found, fault) {
			t.Errorf("%s: found %q, want %q", markup, found, fault)
		}
	}
	page.Store(fmt.Sprintf(good, ""))
	b.Do(chromedp.Navigate(s.URL))
	b.CheckKeyboard("good")
	b.CheckAccess("good")
}

// TestComplaintsArrive writes messages, the last of which a test must not miss.
func TestComplaintsArrive(t *testing.T) {
	t.Parallel()
	b := NewTab(t, Start(t))
	for n := range 100 {
		Evaluate[bool](b, fmt.Sprintf(`console.warn('message %d'), true`, n))
		if got := b.Complaints(); len(got) != n+1 || !strings.Contains(got[n], fmt.Sprintf("message %d", n)) {
			t.Fatalf("after message %d: %q", n, got)
		}
	}
}
