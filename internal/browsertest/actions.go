package browsertest

import (
	"fmt"
	"strconv"

	"github.com/chromedp/chromedp"
)

// Open opens a page and waits until it has loaded.
func (b *Tab) Open(url string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(url))
}

// Press clicks the button or link with this text.
func (b *Tab) Press(text string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll('button, a[href], summary')].find((e) => e.textContent.trim() === %s)`, strconv.Quote(text))
	b.Until(find)
	Evaluate[bool](b, find+`.click() || true`)
}

// Fill replaces the text of a field.
func (b *Tab) Fill(selector, text string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`document.querySelector(%s)`, strconv.Quote(selector)))
	Evaluate[bool](b, fmt.Sprintf(`(() => {
		const field = document.querySelector(%s);
		field.value = %s;
		field.dispatchEvent(new Event('input', {bubbles: true}));
		return field.dispatchEvent(new Event('change', {bubbles: true}));
	})()`, strconv.Quote(selector), strconv.Quote(text)))
}
