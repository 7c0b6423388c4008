package chart

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

func TestFindSeries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		doc  string
		want string // number of values of each series, with its name
	}{
		"top level":       {`{"start":"2000-06-05T00:00:00+01:00","interval_s":1800,"values":[1,2,3]}`, " 3"},
		"under series":    {`{"alpha":1,"series":{"start":"2000-06-05T00:00:00Z","interval_s":60,"unit":"MW","values":[1,2]}}`, " 2"},
		"named members":   {`{"past":{"start":"2000-06-05","interval_s":60,"values":[1,2]},"next":{"start":"2000-06-05T00:02:00Z","interval_s":60,"values":[1,2,3]}}`, "past 2,next 3"},
		"own name":        {`{"x":{"name":"demand","start":0,"interval_s":60,"values":[1,2]}}`, "demand 2"},
		"times":           {`{"times":["2000-06-05T00:00:00Z","2000-06-05T01:00:00Z"],"values":[1,2]}`, " 2"},
		"times as epochs": {`{"times":[0,60,120],"values":[1,2,3]}`, " 3"},
		"gaps":            {`{"start":0,"interval_s":60,"values":[1,null,3]}`, " 3"},
		"interval ignored where its length differs": {`{"start":0,"interval_s":60,"values":[1,2],"lower":[1],"upper":[2]}`, " 2"},
		"at most four":         {`{"a":{"start":0,"interval_s":1,"values":[1,2]},"b":{"start":0,"interval_s":1,"values":[1,2]},"c":{"start":0,"interval_s":1,"values":[1,2]},"d":{"start":0,"interval_s":1,"values":[1,2]},"e":{"start":0,"interval_s":1,"values":[1,2]}}`, "a 2,b 2,c 2,d 2"},
		"one point":            {`{"start":0,"interval_s":60,"values":[1]}`, ""},
		"one point and gaps":   {`{"start":0,"interval_s":60,"values":[null,1,null]}`, ""},
		"empty":                {`{"start":0,"interval_s":60,"values":[]}`, ""},
		"text in values":       {`{"start":0,"interval_s":60,"values":[1,"2"]}`, ""},
		"list in values":       {`{"start":0,"interval_s":60,"values":[1,[2,3]]}`, ""},
		"too great":            {`{"start":0,"interval_s":60,"values":[1,1e308]}`, ""},
		"no number":            {`{"start":0,"interval_s":60,"values":[1,1e999]}`, ""},
		"no interval":          {`{"start":0,"values":[1,2]}`, ""},
		"negative interval":    {`{"start":0,"interval_s":-60,"values":[1,2]}`, ""},
		"endless interval":     {`{"start":0,"interval_s":1e300,"values":[1,2]}`, ""},
		"tiny interval":        {`{"start":0,"interval_s":1e-300,"values":[1,2]}`, ""},
		"times out of order":   {`{"times":[60,0],"values":[1,2]}`, ""},
		"times of other count": {`{"times":[60],"values":[1,2]}`, ""},
		"no time":              {`{"start":"yesterday","interval_s":60,"values":[1,2]}`, ""},
		"an array":             {`[{"start":0,"interval_s":60,"values":[1,2]}]`, ""},
		"a number":             {`17`, ""},
		"nothing":              {``, ""},
		"cut":                  {`{"start":0,"interval_s":60,"values":[1,2`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range findSeries(json.RawMessage(test.doc)) {
				got = append(got, fmt.Sprintf("%s %d", s.name, len(s.y)))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, ",")); diff != "" {
				t.Error(diff)
			}
			for _, p := range OfResult(json.RawMessage(test.doc)) {
				checkSVG(t, string(p.SVG))
			}
		})
	}
}

func TestSeriesOfOneUnitShareAPlot(t *testing.T) {
	t.Parallel()
	s := func(unit string, start int) string {
		return fmt.Sprintf(`{"start":%d,"interval_s":60,"unit":%q,"values":[1,2]}`, start, unit)
	}
	tests := map[string]struct {
		doc  string
		want [][]string
	}{
		"adjacent":   {`{"past":` + s("MW", 0) + `,"next":` + s("MW", 120) + `}`, [][]string{{"past", "next"}}},
		"far apart":  {`{"past":` + s("MW", 0) + `,"next":` + s("MW", 100000) + `}`, [][]string{nil, nil}},
		"two units":  {`{"a":` + s("MW", 0) + `,"b":` + s("K", 0) + `,"c":` + s("MW", 0) + `}`, [][]string{{"a", "c"}, nil}},
		"only one":   {`{"a":` + s("MW", 0) + `}`, [][]string{nil}},
		"no numbers": {`{"a":{}}`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got [][]string
			for _, p := range OfResult(json.RawMessage(test.doc)) {
				got = append(got, p.Legend)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	tests := []struct {
		lo, hi float64
		want   string
	}{
		{18939, 35651, "15,000 20,000 25,000 30,000 35,000 40,000"},
		{3, 100, "0 20 40 60 80 100"},
		{0.91, 0.99, "0.90 0.92 0.94 0.96 0.98 1.00"},
		{-3, 3, "−3 −2 −1 0 1 2 3"},
		{7, 7, "6.2 6.4 6.6 6.8 7.0 7.2 7.4 7.6 7.8"},
		{0, 0, "−1.0 −0.5 0.0 0.5 1.0"},
		{0, 1e12, "0 2e11 4e11 6e11 8e11 1e12"},
		{1e-9, 5e-9, "0 1e−9 2e−9 3e−9 4e−9 5e−9"},
	}
	for _, test := range tests {
		var got []string
		for _, tick := range newScale(test.lo, test.hi).ticks() {
			got = append(got, tick.label)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%g to %g: %s", test.lo, test.hi, diff)
		}
	}
}

func TestSpanTicks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		start  string
		length time.Duration
		want   string
	}{
		{"2000-06-05T00:00:10Z", 20 * time.Second, "00:00:10 00:00:15 00:00:20 00:00:25 00:00:30"},
		{"2000-06-05T23:00:00Z", 2 * time.Hour, "23:00 23:15 23:30 23:45 Tue 6 00:15 00:30 00:45 01:00"},
		{"2000-06-05T00:00:00+01:00", 48 * time.Hour, "Mon 5 06:00 12:00 18:00 Tue 6 06:00 12:00 18:00 Wed 7"},
		{"2000-06-05T00:00:00+01:00", 6*24*time.Hour + 84600*time.Second, "Mon 5 Tue 6 Wed 7 Thu 8 Fri 9 Sat 10 Sun 11"},
		{"2000-06-05T00:00:00Z", 84 * 24 * time.Hour, "12 Jun 26 Jun 10 Jul 24 Jul 7 Aug 21 Aug"},
		{"2000-06-05T00:00:00Z", 365 * 24 * time.Hour, "Jul 2000 Sep 2000 Nov 2000 Jan 2001 Mar 2001 May 2001"},
		{"1900-06-05T00:00:00Z", 100 * 365 * 24 * time.Hour, "1920 1940 1960 1980 2000"},
	}
	for _, test := range tests {
		start, err := time.Parse(time.RFC3339, test.start)
		if err != nil {
			t.Fatal(err)
		}
		_, offset := start.Zone()
		var got []string
		for _, tick := range timeTicks(float64(start.Unix()), float64(start.Add(test.length).Unix()), offset) {
			got = append(got, tick.label)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s for %s: %s", test.start, test.length, diff)
		}
	}
}

func TestPlotSaysWhatItShows(t *testing.T) {
	t.Parallel()
	p := OfResult(charttest.Forecast(t, 336))[0]
	want := "Mon 31 Jul 2000, 00:00 to Sun 6 Aug 2000, 23:30 UTC+01:00, every 30 min. Lowest 18,939 MW, highest 35,651 MW."
	if p.Caption != want {
		t.Errorf("caption %q, want %q", p.Caption, want)
	}
	for _, part := range []string{`role="img"`, `aria-label="Time series with interval: ` + want, `class="band c0"`, `class="line c0"`, "vector-effect"} {
		if !strings.Contains(string(p.SVG), part) {
			t.Errorf("no %s in the drawing", part)
		}
	}
	if strings.Contains(string(p.SVG), "style=") {
		t.Error("a style attribute is there, which the policy forbids")
	}
}

func TestThinKeepsThePeaks(t *testing.T) {
	t.Parallel()
	s := series{}
	for i := range 100_000 {
		s.x, s.y = append(s.x, float64(i)), append(s.y, math.Sin(float64(i)/500))
		s.lower, s.upper = append(s.lower, s.y[i]-1), append(s.upper, s.y[i]+1)
	}
	s.y[54_321], s.y[77_777], s.upper[12_345], s.lower[99_999] = 50, -50, 99, -99
	got := s.thin()
	if n := len(got.x); n > plotPoints || n != len(got.y) || n != len(got.lower) || n != len(got.upper) {
		t.Errorf("%d points, %d values", n, len(got.y))
	}
	lo, hi := extremes(got.y, 0, len(got.y))
	_, up := extremes(got.upper, 0, len(got.y))
	low, _ := extremes(got.lower, 0, len(got.y))
	if got.y[lo] != -50 || got.y[hi] != 50 || got.upper[up] != 99 || got.lower[low] != -99 {
		t.Error("a peak is lost")
	}
	for i := 1; i < len(got.x); i++ {
		if got.x[i] < got.x[i-1] {
			t.Fatalf("time runs backwards at %d", i)
		}
	}
}

func TestGapsBreakTheLine(t *testing.T) {
	t.Parallel()
	doc := `{"start":0,"interval_s":60,"values":[1,2,null,4,null,5,6],"lower":[0,1,null,3,3,4,5],"upper":[2,3,null,5,5,6,null]}`
	svg := string(OfResult(json.RawMessage(doc))[0].SVG)
	_, line, _ := strings.Cut(svg, `class="line c0"`)
	if n := strings.Count(line, "M"); n != 3 {
		t.Errorf("the line has %d stretches, want 3: %s", n, line)
	}
	if strings.Contains(svg, "NaN") {
		t.Error("NaN in the drawing")
	}
}

// checkSVG checks that a drawing is valid XML and that its numbers are finite.
func checkSVG(t testing.TB, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
	for _, bad := range []string{"NaN", "Inf", "style="} {
		_, body, _ := strings.Cut(svg, ">") // the label may say anything
		if strings.Contains(body, bad) {
			t.Errorf("%s in %s", bad, svg)
		}
	}
}

func FuzzPlots(f *testing.F) {
	f.Add([]byte(`{"series":{"start":"2000-06-05T00:00:00+01:00","interval_s":1800,"unit":"MW","values":[1,2,null],"lower":[0,1,2],"upper":[2,3,4]}}`))
	f.Add([]byte(`{"times":["0001-01-01T00:00:00Z","9999-12-31T23:59:59Z"],"values":[-1e300,1e300]}`))
	f.Add([]byte(`{"times":[0,1e-2,5],"values":[1e-320,5e-324,0]}`))
	f.Add([]byte(`{"start":1e11,"interval_s":1e9,"values":[1,1.0000000000000002]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, p := range OfResult(doc) {
			checkSVG(t, string(p.SVG))
			if p.Gutter > 20 {
				t.Errorf("a label of %d characters has no class", p.Gutter)
			}
		}
		if s, _ := jsonvalue.Pretty(doc, 1000); len(s) > 8*1000+100 {
			t.Errorf("%d bytes of JSON", len(s))
		}
	})
}

func BenchmarkPlots(b *testing.B) {
	doc := charttest.Forecast(b, 336)
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		OfResult(doc)
	}
}

func BenchmarkPlotsLong(b *testing.B) {
	values := make([]float64, 100_000)
	for i := range values {
		values[i] = math.Round(1e4 * math.Sin(float64(i)/900))
	}
	doc, err := json.Marshal(map[string]any{"start": "2000-01-01T00:00:00Z", "interval_s": 60, "values": values})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		OfResult(doc)
	}
}
