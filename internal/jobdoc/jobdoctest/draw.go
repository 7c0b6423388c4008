// Package jobdoctest draws random jobs for property tests.
package jobdoctest

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/jobs"
)

const (
	firstID  = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	secondID = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
)

// texts are good and bad values of each kind. The good ones come first and are drawn more
// often.
var (
	ids       = good(firstID, secondID).bad("", "x", strings.ToUpper(firstID), firstID+"0", strings.Replace(firstID, "-7", "-6", 1), firstID[:35]+"\xff", firstID[:35]+"é")
	failed    = good("", jobs.NeedsFail, jobs.NeedsRun).bad("x", "Run", "\xff")
	needs     = good(secondID, "https://results.example/"+secondID, "http://127.0.0.1:8420/é/"+secondID).bad("", "x", "/"+secondID, "http:///"+secondID, "ftp://a/"+secondID, "http://a/"+secondID+"/", "http://a/?"+secondID, "http://u:p@a/"+secondID, "http://a b/"+secondID, "http://a/\xff/"+secondID, "http://a/"+strings.ToUpper(secondID), "http://a/"+strings.Repeat("é", 4090)+"/"+secondID, "http://a/"+strings.Repeat("x", 4090)+"/"+secondID)
	programs  = good("forecast", "a", "a.b_c-1", strings.Repeat("a", 64)).bad("", "../sh", "A", "-a", "a b", "a\n", strings.Repeat("a", 65), "é", "a\xff")
	urls      = good("https://grid.example/meters/42.json", "http://a/?x=1#y", "http://[::1]:80/é", "http://a/"+strings.Repeat("é", 4000)).bad("x", "ftp://a/b", "http://", "https://a b", "http://a/\u2028", "http://u:p@a/b", "http://a:b:c/", "http://[::1", "http://a/%zz", "http://a/\t", "HTTP://a/b", "http://:80/", "http://a/\xff", "http://a/"+strings.Repeat("é", 4090), "http://a/"+strings.Repeat("x", 4090))
	sources   = good(append(urls.good[:2:2], "sha256:"+strings.Repeat("0f", 32))...).bad(append(urls.odd[:1:1], "sha256:", "sha256:"+strings.Repeat("0F", 32), "sha256:"+strings.Repeat("0f", 33), "package:", "package:a b/ü", "package:../x", "package:a\nb", `package:a\b`, "package:\xff", "package:"+strings.Repeat("é", 4090))...)
	digests   = good("", strings.Repeat("0f", 32)).bad("x", strings.Repeat("0F", 32), strings.Repeat("0f", 31))
	names     = good("scene.pov", "a", "b", "c", "é", strings.Repeat("x", 255)).bad("", ".", "..", "a/b", `a\b`, "a\nb", "a\x7f", "a\u0085", "\xff", strings.Repeat("é", 128), strings.Repeat("x", 256))
	traces    = good("", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").bad("x", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g")
	labels    = good("meter", "a.b", "0", strings.Repeat("a", 63)).bad("", "A", "a/b~", ".a", "é", strings.Repeat("a", 64), strings.Repeat("a", 600))
	values    = good("", "42", "<&>\u2028\"\\\x00", strings.Repeat("é", 256)).bad(strings.Repeat("é", 257), strings.Repeat("x", 257), "\xff")
	spans     = good(0, jobs.Duration(90*time.Minute), 1, jobs.Duration(720*time.Hour), jobs.Duration(1500)).bad(-1, jobs.Duration(720*time.Hour)+1, jobs.Forever, math.MinInt64)
	repeats   = good(0, jobs.Duration(10*time.Minute), jobs.Duration(time.Second), jobs.Duration(366*24*time.Hour)).bad(-1, 1, jobs.Duration(time.Second)-1, jobs.Duration(366*24*time.Hour)+1, jobs.Forever)
	keeps     = good(0, jobs.Duration(time.Hour), jobs.Duration(90*24*time.Hour), jobs.Forever).bad(-1, jobs.Duration(-24*time.Hour))
	attempts  = good(0, 1, 100).bad(-1, 101, math.MaxInt)
	sizes     = good[int64](0, 1, 1<<53-1).bad(-1, 1<<53, math.MinInt64)
	times     = good(time.Time{}, moment(2026, 0), moment(2027, 3600), moment(0, 0), moment(9999, -5*3600-1800), moment(2026, 23*3600)).bad(moment(10000, 0), moment(-1, 0), moment(2026, 24*3600))
	documents = good(`1`, `null`, ` { "a" : [ 1.50, 12345678901234567890.5e-7, "\u00e9\/" ] } `, `"x"`, nested(62)).bad(``, ` `, `{`, `NaN`, `"\ud800"`, `{"a":1,"a":2}`, `{"b":{"a":1,"a":2}}`, "\"\xff\"", `1 2`, nested(63), nested(70), `'x'`)
)

// pool holds the values of one kind.
type pool[T any] struct{ good, odd []T }

func good[T any](values ...T) pool[T] { return pool[T]{good: values} }

func (p pool[T]) bad(values ...T) pool[T] { p.odd = values; return p }

// drawer draws only what is good, unless odd is set.
type drawer struct {
	*rapid.T
	odd bool
}

// draw draws a good value or, if that may be, rarely a bad one.
func (p pool[T]) draw(d drawer, name string) T {
	if d.odd && d.rarely(name+" is bad") {
		return rapid.SampledFrom(p.odd).Draw(d.T, name)
	}
	return rapid.SampledFrom(p.good).Draw(d.T, name)
}

func (d drawer) rarely(what string) bool { return rapid.IntRange(0, 29).Draw(d.T, what) == 7 }

func (d drawer) often(what string) bool { return rapid.Bool().Draw(d.T, what) }

func moment(year, east int) time.Time {
	return time.Date(year, 6, 2, 3, 4, 5, 678e6, time.FixedZone("", east))
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// Draw draws a job. Half of them have no fault but those between fields: in the order of
// times, and in equal ids or names.
func Draw(t *rapid.T) jobs.Job {
	d := drawer{t, rapid.Bool().Draw(t, "odd")}
	j := jobs.Job{
		ID: ids.draw(d, "id"), Program: programs.draw(d, "program"), Input: d.input(),
		Created: times.draw(d, "created"), NotBefore: times.draw(d, "not_before"), Expires: times.draw(d, "expires"),
		Timeout: spans.draw(d, "timeout"), NeedsTimeout: spans.draw(d, "needs_timeout"), NeedsFailed: failed.draw(d, "needs_failed"), Attempts: attempts.draw(d, "attempts"),
		Traceparent: traces.draw(d, "traceparent"), Labels: map[string]string{},
		Repeat: repeats.draw(d, "repeat"), Keep: jobs.Keep{Succeeded: keeps.draw(d, "succeeded"), Failed: keeps.draw(d, "failed"), Cancelled: keeps.draw(d, "cancelled")},
	}
	j.Result.URL = "https://results.example/" + j.ID
	if d.odd && d.rarely("result") {
		j.Result.URL = rapid.SampledFrom([]string{urls.draw(d, "result.url"), j.Result.URL + "?", j.Result.URL + "#x", "http://a/x" + j.ID}).Draw(t, "url")
	}
	if d.often("webhook") {
		j.Webhook = urls.draw(d, "webhook.url")
	}
	if d.rarely("rerun") {
		j.RerunOf = ids.draw(d, "rerun_of")
	}
	if d.often("priority") {
		j.Priority = new(rapid.Uint32().Draw(t, "priority is"))
	}
	d.lists(&j)
	return j
}

func (d drawer) input() (in jobs.Input) {
	url, data := d.often("by url"), d.odd && d.rarely("both")
	if url {
		in.URL, in.SHA256 = sources.draw(d, "input.url"), digests.draw(d, "input.sha256")
	}
	if !url || data {
		in.Data = json.RawMessage(documents.draw(d, "data"))
	}
	if d.odd && d.rarely("neither") {
		in.URL, in.Data = "", nil
	}
	return in
}

// lists draws short lists, and rarely long ones.
func (d drawer) lists(j *jobs.Job) {
	for i := range d.length("files", 1000) {
		f := jobs.File{Name: names.draw(d, "name"), URL: sources.draw(d, "url"), SHA256: digests.draw(d, "sha256"), Size: sizes.draw(d, "size")}
		if i > 3 {
			f = jobs.File{Name: jobs.NewID(), URL: "http://a/b"}
		}
		j.Files = append(j.Files, f)
	}
	for i := range d.length("needs", 10_000) {
		id := jobs.NewID()
		if i < 2 && d.odd {
			id = needs.draw(d, "need")
		}
		j.Needs = append(j.Needs, id)
	}
	for i := range d.length("labels", 64) {
		name, value := labels.draw(d, "label"), values.draw(d, "value")
		if i > 3 {
			name = jobs.NewID()
		}
		if name == "" {
			value = "" // the schema library does not say where a value without a name is
		}
		j.Labels[name] = value
	}
}

// length draws the length of a list, which is at most one more than most.
func (d drawer) length(name string, most int) int {
	if !d.rarely("many " + name) {
		return rapid.IntRange(0, 4).Draw(d.T, "number of "+name)
	}
	if d.odd {
		most++
	}
	return most
}

// Each yields jobs that differ from one without faults in one value, for all good and
// bad values of all fields.
func Each(yield func(jobs.Job) bool) {
	for _, all := range [][]func(*jobs.Job){
		each(ids, func(j *jobs.Job, s string) { j.ID, j.Result.URL = s, "https://results.example/"+s }),
		each(ids, func(j *jobs.Job, s string) { j.RerunOf = s }),
		each(needs, func(j *jobs.Job, s string) { j.Needs = []string{s} }),
		each(programs, func(j *jobs.Job, s string) { j.Program = s }),
		each(urls, func(j *jobs.Job, s string) { j.Input = jobs.Input{URL: s} }),
		each(sources, func(j *jobs.Job, s string) { j.Input = jobs.Input{URL: s} }),
		each(sources, func(j *jobs.Job, s string) { j.Files = []jobs.File{{Name: "a", URL: s}} }),
		each(urls, func(j *jobs.Job, s string) { j.Result.URL = s }),
		each(urls, func(j *jobs.Job, s string) { j.Webhook = s }),
		each(digests, func(j *jobs.Job, s string) { j.Input = jobs.Input{URL: "http://a/b", SHA256: s} }),
		each(names, func(j *jobs.Job, s string) { j.Files = []jobs.File{{Name: s, URL: "http://a/b"}} }),
		each(sizes, func(j *jobs.Job, n int64) { j.Files = []jobs.File{{Name: "a", URL: "http://a/b", Size: n}} }),
		each(traces, func(j *jobs.Job, s string) { j.Traceparent = s }),
		each(labels, func(j *jobs.Job, s string) { j.Labels = map[string]string{s: ""} }),
		each(values, func(j *jobs.Job, s string) { j.Labels = map[string]string{"a": s} }),
		each(spans, func(j *jobs.Job, d jobs.Duration) { j.Timeout = d }),
		each(spans, func(j *jobs.Job, d jobs.Duration) { j.NeedsTimeout = d }),
		each(repeats, func(j *jobs.Job, d jobs.Duration) { j.Repeat = d }),
		each(failed, func(j *jobs.Job, s string) { j.NeedsFailed = s }),
		each(keeps, func(j *jobs.Job, d jobs.Duration) { j.Keep.Failed = d }),
		each(attempts, func(j *jobs.Job, n int) { j.Attempts = n }),
		each(times, func(j *jobs.Job, t time.Time) { j.Expires = t }),
		each(documents, func(j *jobs.Job, s string) { j.Input = jobs.Input{Data: json.RawMessage(s)} }),
	} {
		for _, set := range all {
			j := jobs.Job{ID: firstID, Program: "a", Input: jobs.Input{URL: "http://a/b"}, Result: jobs.Target{URL: "https://results.example/" + firstID}}
			if set(&j); !yield(j) {
				return
			}
		}
	}
}

func each[T any](p pool[T], set func(*jobs.Job, T)) (all []func(*jobs.Job)) {
	for _, v := range slices.Concat(p.good, p.odd) {
		all = append(all, func(j *jobs.Job) { set(j, v) })
	}
	return all
}
