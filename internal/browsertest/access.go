package browsertest

import (
	_ "embed"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

//go:embed audit.js
var audit string

// maxStops bounds the elements that Walk focuses.
const maxStops = 600

// CheckAccess fails the test for each accessibility fault of the page, wide and
// on a phone, light and dark: names, headings, landmarks, references, contrast,
// sizes of targets, sideways scrolling.
func (b *Tab) CheckAccess(name string) {
	b.t.Helper()
	for _, width := range []int64{1400, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.Look(width, scheme)
			for _, fault := range b.Audit() {
				b.t.Errorf("%s at %d pixels, %s: %s", name, width, scheme, fault)
			}
		}
	}
}

// Audit lists the faults of the page as it is shown now.
func (b *Tab) Audit() []string {
	b.t.Helper()
	return Evaluate[[]string](b, audit)
}

// walk records the element with the focus, and returns what is wrong with it,
// or "end" after the last element.
const walk = `(() => {
  let el = document.activeElement;
  while (el?.shadowRoot?.activeElement) el = el.shadowRoot.activeElement;
  if (!el || el === document.body) return 'end';
  if (el === walked.last) return ''; // a field for a date has a stop for each part
  if (walked.has(el)) return 'end';
  walked.add(walked.last = el);
  const style = getComputedStyle(el), box = el.getBoundingClientRect();
  if (box.bottom < 0 || box.right < 0 || box.top > innerHeight || box.left > innerWidth) return 'has the focus out of sight: ' + el.outerHTML.slice(0, 120);
  const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none';
  return ring ? '' : 'does not show that it has the focus: ' + el.outerHTML.slice(0, 120);
})()`

// missed lists the elements that a mouse can use and that never had the focus.
const missed = `[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter((el) => el.checkVisibility({visibilityProperty: true}) && !el.disabled && el.tabIndex >= 0 && !walked.has(el))
  .filter((el) => !(el.type === 'radio' && [...walked].some((other) => other.type === 'radio' && other.name === el.name)))
  .map((el) => 'cannot be reached by keyboard: ' + el.outerHTML.slice(0, 120))`

// CheckKeyboard fails the test for each fault that [Tab.Walk] finds.
func (b *Tab) CheckKeyboard(name string) {
	b.t.Helper()
	for _, fault := range b.Walk() {
		b.t.Errorf("%s: %s", name, fault)
	}
}

// Walk presses the tab key from the beginning to the end of the page. It lists
// the elements on which the focus is not visible, and those that never get it.
func (b *Tab) Walk() []string {
	b.t.Helper()
	b.focusShows()
	Evaluate[bool](b, `(() => { document.activeElement?.blur(); scrollTo(0, 0); window.walked = new Set(); getSelection().removeAllRanges(); return true; })()`)
	var faults []string
	for range maxStops {
		b.Do(chromedp.KeyEvent(kb.Tab))
		fault := Evaluate[string](b, walk)
		if fault == "end" {
			return append(faults, Evaluate[[]string](b, missed)...)
		}
		if fault != "" {
			faults = append(faults, fault)
		}
	}
	return append(faults, "the walk by keyboard does not end")
}

// focusShows makes a tab in the background behave like the one in front.
func (b *Tab) focusShows() {
	b.t.Helper()
	_, err := chromedp.Call(b.Context, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	if err != nil {
		b.t.Fatal(err)
	}
}

// CheckLook takes screenshots of a page, and fails the test where the page is not
// accessible, does not work with the keyboard, or complains on its console.
func (b *Tab) CheckLook(name string) {
	b.Shoot(name)
	b.CheckAccess(name)
	b.Look(1400, "light")
	b.CheckKeyboard(name)
	b.CheckComplaints()
}
