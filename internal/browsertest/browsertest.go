// Package browsertest drives Debian's chromium for tests of pages. Without
// chromium these tests fail.
package browsertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	// patience bounds every wait. It is long enough for a busy machine.
	patience = 3 * time.Minute
	// tabTime bounds the life of a tab.
	tabTime = 15 * time.Minute
	// consoleTime bounds the wait for the messages of a console, of a page that may hang.
	consoleTime = 30 * time.Second
)

// Start starts Debian's chromium, or fails the test if it is missing. Chromium
// ends with the test. The time of each tab is bounded, not that of all together.
func Start(t *testing.T) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-renderer-backgrounding", true), chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.UserDataDir(t.TempDir()),
	}
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start (apt install chromium): %v", err)
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return ctx
}

// Tab is one tab. It records what its console reports.
type Tab struct {
	// Context is for chromedp calls that Tab has no method for.
	Context context.Context

	t      *testing.T
	ignore []string
	mu     sync.Mutex
	faults []string                 // guarded by mu
	marks  map[string]chan struct{} // guarded by mu: messages of settle that have not arrived
}

// NewTab opens a tab. It ignores console messages that contain one of the texts
// in ignore.
func NewTab(t *testing.T, chromium context.Context, ignore ...string) *Tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(chromium, tabTime)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	b := &Tab{Context: ctx, t: t, ignore: ignore, marks: map[string]chan struct{}{}}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if !b.arrived(m.Text) {
				b.note(m.String() + " " + m.URL)
			}
		}
	}()
	return b
}

func (b *Tab) note(s string) {
	for _, known := range b.ignore {
		if strings.Contains(s, known) {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, s)
}

// arrived reports whether a message is one of settle.
func (b *Tab) arrived(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	reached, is := b.marks[text]
	if is {
		delete(b.marks, text)
		close(reached)
	}
	return is
}

// settle waits for the messages that the page has written: they reach the test
// later than the values that it evaluates. Messages keep their order.
func (b *Tab) settle() {
	reached, mark := make(chan struct{}), "end of messages "+rand.Text()
	b.mu.Lock()
	b.marks[mark] = reached
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.Context, consoleTime)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`console.debug('`+mark+`'), true`)); err != nil {
		return // the page is gone
	}
	select {
	case <-reached:
	case <-ctx.Done():
	}
}

// Complaints returns the messages of the console so far.
func (b *Tab) Complaints() []string {
	b.settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.faults...)
}

// CheckComplaints fails the test for each message of the console.
func (b *Tab) CheckComplaints() {
	b.t.Helper()
	for _, f := range b.Complaints() {
		b.t.Errorf("the page complains: %s", f)
	}
}

// Do runs steps in the tab.
func (b *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.Context, steps...); err != nil {
		b.t.Fatalf("%v (complaints: %q)", err, b.Complaints())
	}
}

// Evaluate returns the value of a JavaScript expression.
func Evaluate[T any](b *Tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.Context, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%.300s: %v (complaints: %q)", expression, err, b.Complaints())
	}
	return v
}

// Until waits for a JavaScript expression to become true.
func (b *Tab) Until(expression string) {
	b.t.Helper()
	deadline := time.After(patience)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !b.true(expression) {
		select {
		case <-look.C:
		case <-deadline:
			b.t.Fatalf("never came true: %s\ncomplaints: %q\npage: %s", expression, b.Complaints(), Evaluate[string](b, "document.body.innerText"))
		}
	}
}

// true evaluates a condition. It is false while one page is gone and the next
// one is not loaded.
func (b *Tab) true(condition string) bool {
	b.t.Helper()
	is, err := chromedp.Run(b.Context, chromedp.Evaluate[bool]("!!("+condition+")"))
	if err != nil && !strings.Contains(err.Error(), "navigated") && !strings.Contains(err.Error(), "context was destroyed") && !strings.Contains(err.Error(), "Cannot find context") {
		b.t.Fatalf("%.300s: %v (complaints: %q)", condition, err, b.Complaints())
	}
	return err == nil && is
}

// ForbidScripts disables the scripts of pages in the tab.
func (b *Tab) ForbidScripts() {
	b.t.Helper()
	_, err := chromedp.Call(b.Context, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	if err != nil {
		b.t.Fatal(err)
	}
}

// Shoot takes screenshots of the page, wide and on a phone, light and dark,
// into the folder named by RUNNERBEAN_SCREENSHOTS. It checks that the page does
// not scroll sideways.
func (b *Tab) Shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("RUNNERBEAN_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	for _, width := range []int64{1400, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.Look(width, scheme)
			if Evaluate[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
				b.t.Errorf("%s scrolls sideways at %d pixels", name, width)
			}
			png, err := chromedp.Run(b.Context, chromedp.FullScreenshot(100))
			if err != nil {
				b.t.Fatal(err)
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(file, png, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// Look sets the width of the window and the color scheme.
func (b *Tab) Look(width int64, scheme string) {
	b.t.Helper()
	b.Until(`document.readyState === 'complete'`) // it can be shown before its styles are loaded
	b.Do(chromedp.EmulateViewport(width, 844))
	_, err := chromedp.Call(b.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}
