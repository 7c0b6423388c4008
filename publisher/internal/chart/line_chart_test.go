package chart

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
)

// hostileNames are names that an attacker would give a node.
var hostileNames = []string{
	`"><script>alert(1)</script>`, "\x1b[31mred\x1b]0;x\x07", "evil\u202etxt.exe", `' onload='x`, strings.Repeat("W", 1<<20), "", "]]>", "&lt;", "\xff\xfe",
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func windowOf(step time.Duration, n int) api.Window {
	return api.Window{Name: "1h", From: noon, Until: noon.Add(time.Duration(n) * step), Step: step.Seconds()}
}

func points(values ...float64) []*float64 {
	var list []*float64
	for _, v := range values {
		if math.IsNaN(v) {
			list = append(list, nil)
		} else {
			list = append(list, &v)
		}
	}
	return list
}

func TestLinesOfHostileNames(t *testing.T) {
	t.Parallel()
	p := Lines("Jobs", "jobs per minute", windowOf(time.Minute, 60), charttest.Waves(hostileNames, 60), false)
	checkSVG(t, string(p.SVG))
	checkSVG(t, string(p.Table))
	whole := string(p.SVG) + string(p.Table)
	for _, bad := range []string{"<script", "\x1b", "\u202e", "' onload", "style="} {
		if strings.Contains(whole, bad) {
			t.Errorf("%q came through", bad)
		}
	}
	if len(whole) > 100_000 {
		t.Errorf("%d bytes", len(whole))
	}
}

func TestLinesHaveGaps(t *testing.T) {
	t.Parallel()
	gap := math.NaN()
	p := Lines("Jobs", "jobs", windowOf(time.Minute, 7), []api.Series{{Name: "a", Points: points(1, 2, gap, 4, gap, gap, 3)}}, true)
	_, path, _ := strings.Cut(string(p.SVG), `class="line c0"`)
	if n := strings.Count(path, "M"); n != 3 {
		t.Errorf("the line has %d stretches, want 3: %s", n, path)
	}
	if want := (LegendEntry{"a", "c0", "3"}); p.Legend[0] != want {
		t.Errorf("legend %v, want %v", p.Legend[0], want)
	}
	if !strings.Contains(string(p.Table), "–") || !strings.Contains(string(p.SVG), "newest 3, highest 4") {
		t.Errorf("gaps are not told: %s %s", p.SVG, p.Table)
	}
}

func TestLinesOfNothing(t *testing.T) {
	t.Parallel()
	gap := math.NaN()
	for name, list := range map[string][]api.Series{"no series": nil, "no points": {{Name: "a"}}, "only gaps": {{Name: "a", Points: points(gap, gap)}}} {
		if p := Lines("Jobs", "jobs", windowOf(time.Minute, 2), list, true); !p.Empty || p.SVG != "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestOddLinesAreDrawn(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]float64{"one point": {3}, "zeros": {0, 0, 0}, "huge": {1e300, 0}, "beyond": {math.Inf(1), 2, 1}, "tiny": {1e-300, 0}, "negative": {-1, -2}} {
		for _, whole := range []bool{false, true} {
			p := Lines("Jobs", "jobs", windowOf(time.Minute, len(values)), []api.Series{{Name: "a", Points: points(values...)}}, whole)
			checkSVG(t, string(p.SVG))
			if p.Empty || strings.Contains(string(p.SVG), "NaN") || strings.Contains(string(p.SVG), "Inf") {
				t.Errorf("%s: %s", name, p.SVG)
			}
		}
	}
}

func TestALineKeepsItsColour(t *testing.T) {
	t.Parallel()
	classes := func(names ...string) map[string]int {
		got := map[string]int{}
		for _, l := range linesOf(charttest.Waves(names, 2)) {
			got[l.name] = l.color
		}
		return got
	}
	want := map[string]int{"a": 0, "b": 1, "others": 8}
	if diff := cmp.Diff(want, classes("b", "a", "others")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, classes("a", "b", "others")); diff != "" {
		t.Error(diff)
	}
}

func TestNamesAtTheEndsDoNotCover(t *testing.T) {
	t.Parallel()
	var list []api.Series
	for i := range maxLines {
		list = append(list, api.Series{Name: fmt.Sprint("n", i), Points: points(5, 5)})
	}
	p := Lines("Jobs", "jobs", windowOf(time.Minute, 2), list, true)
	_, ends, _ := strings.Cut(string(p.SVG), `class="ends"`)
	last := 0.0
	for i, part := range strings.Split(ends, ` y="`)[1:] {
		var y float64
		if _, err := fmt.Sscanf(part, `%f"`, &y); err != nil {
			t.Fatal(err)
		}
		if i > 0 && y < last+endRoom-1 || y < plotTop || y > plotTop+linesInner+5 {
			t.Errorf("name %d at %g after %g", i, y, last)
		}
		last = y
	}
}

func TestTicksOfEachWindow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		step time.Duration
		n    int
		want []string
	}{
		"15m": {time.Minute, 15, []string{"12:02", "12:14"}},
		"1h":  {time.Minute, 60, []string{"12:10", "13:00"}},
		"6h":  {time.Minute, 360, []string{"13:00", "18:00"}},
		"24h": {10 * time.Minute, 144, []string{"15:00", "Mon 23"}},
		"7d":  {2 * time.Hour, 84, []string{"Mon 23", "Sun 29"}},
		"30d": {2 * time.Hour, 360, []string{"23 Nov", "21 Dec"}},
	} {
		p := Lines("Jobs", "jobs", windowOf(test.step, test.n), charttest.Waves([]string{"a"}, test.n), false)
		for _, label := range test.want {
			if !strings.Contains(string(p.SVG), ">"+label+"</text>") {
				t.Errorf("%s: no label %s in %s", name, label, p.SVG)
			}
		}
		if n := strings.Count(string(p.Table), "<tr>") - 1; n > tableRows || n < min(test.n, tableRows/2) {
			t.Errorf("%s: the table has %d rows", name, n)
		}
	}
}

func TestBins(t *testing.T) {
	t.Parallel()
	p := Durations("Durations", []api.Bin{{UpTo: 0.1, N: 0}, {UpTo: 0.2, N: 0}, {UpTo: 0.5, N: 3}, {UpTo: 1, N: 10}, {UpTo: 2, N: 0}, {UpTo: 0, N: 1}}, 0.7)
	want := []BinRow{{"up to 200 ms", "0"}, {"200 ms to 500 ms", "3"}, {"500 ms to 1 s", "10"}, {"1 s to 2 s", "0"}, {"over 2 s", "1"}}
	if diff := cmp.Diff(want, p.Rows); diff != "" {
		t.Error(diff)
	}
	checkSVG(t, string(p.SVG))
	if p.Total != "14" || p.Mean != "700 ms" || strings.Count(string(p.SVG), "<rect") != 3 {
		t.Errorf("%+v", p)
	}
	if none := Durations("Durations", []api.Bin{{UpTo: 1, N: 0}}, 0); !none.Empty {
		t.Errorf("%+v", none)
	}
	for _, odd := range [][]api.Bin{{{UpTo: 0, N: 5}}, {{UpTo: 1, N: -4}, {UpTo: 2, N: 1}}, {{UpTo: math.Inf(1), N: 1}}, {{UpTo: 1e-9, N: 1}, {UpTo: 1e12, N: math.MaxInt64}}} {
		checkSVG(t, string(Durations("x", odd, math.NaN()).SVG))
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for part, want := range map[float64]string{0.5: `width="50.0%"`, -1: `width="0.0%"`, 7: `"part" width="100.0%"`} {
		if s := string(Share(part)); !strings.Contains(s, want) {
			t.Errorf("share %g: %s", part, s)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a", 1.0, -2.0, 60.0)
	f.Fuzz(func(t *testing.T, name string, a, b, step float64) {
		w := api.Window{From: noon, Until: noon.Add(time.Hour), Step: step}
		p := Lines("Jobs", "jobs", w, []api.Series{{Name: name, Points: []*float64{&a, nil, &b}}}, false)
		checkSVG(t, string(p.SVG))
		checkSVG(t, string(p.Table))
	})
}

func BenchmarkLines(b *testing.B) {
	names := []string{"worker1", "worker2", "worker3", "worker4", "worker5", "worker6", "worker7", "worker8", api.Others}
	list, w := charttest.Waves(names, 360), windowOf(2*time.Hour, 360)
	b.ReportAllocs()
	for b.Loop() {
		if p := Lines("Jobs", "jobs per minute", w, list, false); p.Empty {
			b.Fatal("nothing drawn")
		}
	}
}
