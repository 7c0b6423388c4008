package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// followSurvives breaks the connection of a page in several ways. The page must catch up
// each time.
func followSurvives(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	step := func(p float64) { n.set(func(r *jobs.Result) { r.Progress = ptr(p) }) }
	n.set(func(r *jobs.Result) { *r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Running} })
	step(0.1)
	b := browsertest.NewTab(t, chromium, "Failed to load resource", "ERR_", "MIME type")
	b.Do(chromedp.Navigate(embedder(t, n.url, `<runnerbean-result src="`+n.url+`/`+testID+`"></runnerbean-result>`)))
	at := func(p float64) string { return fmt.Sprintf("%s?.value === %g", part("progress"), p) }
	b.Until(at(0.1))
	step(0.2)
	b.Until(at(0.2)) // the stream works

	n.deaf.Store(true)
	step(0.25) // the last event of the stream
	b.Until(at(0.25))
	step(0.28)
	browsertest.Evaluate[bool](b, `dispatchEvent(new Event('online'))`)
	b.Until(at(0.28)) // after sleep, with a silent stream
	n.deaf.Store(false)

	n.server.CloseClientConnections()
	step(0.3)
	b.Until(at(0.3)) // after a broken connection

	n.broken.Store(true)
	n.server.CloseClientConnections()
	step(0.4)
	n.broken.Store(false)
	b.Until(at(0.4)) // after a restart

	n.set(func(r *jobs.Result) { r.State, r.Finished = jobs.Succeeded, time.Now() })
	b.Until(part("state") + `.textContent === 'Succeeded'`)
	b.CheckComplaints()
}

// followAsAnIterator uses the module as a script does.
func followAsAnIterator(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) { *r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Queued} })
	b := browsertest.NewTab(t, chromium, "favicon.ico")
	b.Do(chromedp.Navigate(n.url + "/runnerbean.js"))
	browsertest.Evaluate[any](b, fmt.Sprintf(`(async () => {
		globalThis.log = [];
		const {follow} = await import('/runnerbean.js');
		for await (const doc of follow('/%[1]s', {onState: (d) => log.push('on ' + d.state)})) log.push(doc.state);
		log.push('end');
		const stop = new AbortController();
		stop.abort();
		for await (const doc of follow('/%[1]s', {signal: stop.signal})) log.push('never');
		try { await follow('data:,').next(); } catch (err) { log.push(err.name); }
		log.push('done');
	})(), null`, testID))
	b.Until(`globalThis.log?.join() === 'on queued,queued'`)
	n.set(func(r *jobs.Result) { r.State = jobs.Running })
	b.Until(`log.at(-1) === 'running'`)
	n.set(func(r *jobs.Result) { r.State = jobs.Cancelled })
	b.Until(`log.at(-1) === 'done'`)
	want := "on queued,queued,on running,running,on cancelled,cancelled,end,TypeError,done"
	if diff := cmp.Diff(want, browsertest.Evaluate[string](b, `log.join()`)); diff != "" {
		t.Error(diff)
	}
	b.CheckComplaints()
}

// bothPlotsAgree draws the same results in Go and in JavaScript. Labels must be equal
// and lines must lie on each other, so that a page does not jump.
func bothPlotsAgree(t *testing.T, chromium context.Context) {
	long := make([]float64, 5000)
	for i := range long {
		long[i] = math.Round(1e4 * math.Sin(float64(i)/90))
	}
	list := func(v any) string { data, _ := json.Marshal(v); return string(data) }
	docs := map[string]string{
		"week":      string(charttest.Forecast(t, 336)),
		"day":       string(charttest.Forecast(t, 48)),
		"all":       string(charttest.Forecast(t, 1300)),
		"thinned":   `{"start":"2000-01-01T00:00:00-05:30","interval_s":60,"unit":"m/s","values":` + list(long) + `}`,
		"years":     `{"start":"1950-03-04","interval_s":31557600,"values":` + list(long[:70]) + `}`,
		"months":    `{"start":"1950-03-04T10:00","interval_s":864000,"values":` + list(long[:70]) + `}`,
		"century":   `{"start":-6e10,"interval_s":1e8,"values":` + list(long[:700]) + `}`,
		"seconds":   `{"start":"2000-01-01T23:59:50.25Z","interval_s":0.5,"values":[0.00001,0.00002,0.00005]}`,
		"gaps":      `{"start":0,"interval_s":60,"values":[1,2,null,4,null,5,6],"lower":[0,1,null,3,3,4,5],"upper":[2,3,null,5,5,6,null]}`,
		"autumn":    `{"start":"2000-08-20","interval_s":86400,"values":` + list(long[:50]) + `}`,
		"flat":      `{"start":0,"interval_s":60,"values":[7,7,7]}`,
		"zero":      `{"start":0,"interval_s":60,"values":[0,0]}`,
		"great":     `{"start":0,"interval_s":60,"values":[1e12,-3.5e12]}`,
		"extreme":   `{"start":0,"interval_s":60,"values":[-1e300,1e300]}`,
		"minute":    `{"start":0,"interval_s":60,"values":[-1e-9,3e-9]}`,
		"times":     `{"times":["2000-01-01T00:00:00+02:00","2000-01-01T05:00:00+02:00","2000-03-01T00:00:00+02:00"],"values":[1,5,3]}`,
		"two":       `{"past":{"start":0,"interval_s":600,"unit":"MW","values":[3,4,5]},"next":{"start":1800,"interval_s":600,"unit":"MW","values":[6,5,4],"lower":[5,4,3],"upper":[7,6,5]},"t":{"start":0,"interval_s":600,"unit":"°C","values":[1,2]}}`,
		"no series": `{"start":0,"interval_s":60,"values":[1,"2"]}`,
		"one point": `{"start":0,"interval_s":60,"values":[1]}`,
		"too great": `{"start":0,"interval_s":60,"values":[1,1e308]}`,
		"disorder":  `{"times":[60,0],"values":[1,2]}`,
	}
	n := newFakeNode(t)
	b := browsertest.NewTab(t, chromium, "favicon.ico")
	b.Do(chromedp.Navigate(n.url + "/runnerbean.js"))
	browsertest.Evaluate[any](b, `import('/assets/plot.js').then((m) => { globalThis.plot = m.plot; }), null`)
	b.Until(`globalThis.plot`)
	for name, doc := range docs {
		var inGo, captions []string
		for _, p := range chart.OfResult(json.RawMessage(doc)) {
			inGo, captions = append(inGo, string(p.SVG)), append(captions, p.Caption)
		}
		inJS := browsertest.Evaluate[[]string](b, `(() => { const host = document.createElement('div'); plot(host, `+doc+`); return [...host.querySelectorAll('.box > svg')].map((s) => s.outerHTML); })()`)
		drawn := browsertest.Evaluate[[]string](b, `(() => { const host = document.createElement('div'); plot(host, `+doc+`); return [...host.querySelectorAll('figcaption')].map((c) => c.textContent); })()`)
		if diff := cmp.Diff(captions, drawn, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: captions: %s", name, diff)
		}
		if len(inGo) != len(inJS) {
			t.Errorf("%s: %d plots in Go, %d in JavaScript", name, len(inGo), len(inJS))
			continue
		}
		for i := range inGo {
			comparePlots(t, name, inGo[i], inJS[i])
		}
	}
	b.CheckComplaints()
}

func bothSpansAgree(t *testing.T, chromium context.Context) {
	b := browsertest.NewTab(t, chromium, "favicon.ico")
	b.Do(chromedp.Navigate(newFakeNode(t).url + "/runnerbean.js"))
	browsertest.Evaluate[any](b, `import('/assets/words.js').then((m) => { globalThis.bean = m; }), null`)
	b.Until(`globalThis.bean`)
	for _, s := range []float64{0.012, 0.5, 1, 2.4, 9.94, 14.2, 59, 59.7, 90, 3599.7, 3600, 5400, 86399, 86400, 93600, 864000} {
		want := text.Duration(time.Duration(s * float64(time.Second)))
		if got := browsertest.Evaluate[string](b, fmt.Sprintf(`bean.span(%g)`, s)); got != want {
			t.Errorf("span(%g) is %q in JavaScript and %q in Go", s, got, want)
		}
		for _, p := range []float64{0.02, 0.5, 0.999} {
			r := jobs.Result{State: jobs.Running, Started: noon, Timestamp: noon.Add(time.Duration(s * float64(time.Second))), Progress: &p}
			doc, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := browsertest.Evaluate[string](b, `bean.left(`+string(doc)+`)`); got != jobview.TimeLeft(r) {
				t.Errorf("%g after %g s: %q in JavaScript and %q in Go", p, s, got, jobview.TimeLeft(r))
			}
		}
	}
}

var (
	svgText = regexp.MustCompile(`<text[^>]*>([^<]*)<`)
	svgRank = regexp.MustCompile(`class="(r\d)"`)
	svgPath = regexp.MustCompile(` d="([^"]*)"`)
	svgNum  = regexp.MustCompile(`-?[0-9.]+`)
)

func comparePlots(t *testing.T, name, inGo, inJS string) {
	t.Helper()
	if diff := cmp.Diff(found(svgText, inGo), found(svgText, inJS)); diff != "" {
		t.Errorf("%s: labels: %s", name, diff)
	}
	if diff := cmp.Diff(found(svgRank, inGo), found(svgRank, inJS)); diff != "" {
		t.Errorf("%s: ranks: %s", name, diff)
	}
	a, b := found(svgPath, inGo), found(svgPath, inJS)
	if len(a) != len(b) {
		t.Errorf("%s: %d paths and %d", name, len(a), len(b))
		return
	}
	for i := range a {
		if diff := cmp.Diff(svgNum.ReplaceAllString(a[i], "#"), svgNum.ReplaceAllString(b[i], "#")); diff != "" {
			t.Errorf("%s: shape of path %d: %s", name, i, diff)
		}
		p, q := svgNum.FindAllString(a[i], -1), svgNum.FindAllString(b[i], -1)
		for j := range min(len(p), len(q)) {
			u, err1 := strconv.ParseFloat(p[j], 64)
			v, err2 := strconv.ParseFloat(q[j], 64)
			if err1 != nil || err2 != nil || math.Abs(u-v) > 1.01 {
				t.Errorf("%s: path %d, number %d: %s and %s", name, i, j, p[j], q[j])
				break
			}
		}
	}
}

func found(re *regexp.Regexp, s string) []string {
	var list []string
	for _, m := range re.FindAllStringSubmatch(s, -1) {
		list = append(list, strings.TrimSpace(m[1]))
	}
	return list
}
