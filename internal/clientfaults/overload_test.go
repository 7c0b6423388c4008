package clientfaults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	answerDelay = 50 * time.Millisecond
	conns       = 8 // the default of jobs.Config
	// capacity is how many puts a second a server can do that answers each connection
	// after answerDelay.
	capacity = conns * float64(time.Second/answerDelay)
	// callTime is how long a caller waits.
	callTime = time.Second
)

// point is what became of the calls at one load; all are numbers per second.
type point struct{ Offered, Put, Overloaded, Other float64 }

// BenchmarkOverload calls Enqueue more often than a server can answer that takes 50 ms for
// each answer on a connection. With the environment variable OVERLOAD_SVG it measures more
// loads, takes the best of three rounds of each, because other work on the machine holds
// callers up, and draws them into that file.
func BenchmarkOverload(b *testing.B) {
	file := os.Getenv("OVERLOAD_SVG")
	loads, rounds, span := []float64{0.5, 2}, 1, 2*time.Second
	if file != "" {
		loads, rounds, span = []float64{0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5}, 3, 4*time.Second
	}
	var points []point
	for _, load := range loads {
		b.Run(fmt.Sprintf("%.0f", load*capacity), func(b *testing.B) {
			for b.Loop() {
				var p point
				for range rounds {
					if next := offer(b, load*capacity, span); next.Put > p.Put {
						p = next
					}
				}
				points = append(points, p)
				b.ReportMetric(p.Put, "put/s")
				b.ReportMetric(p.Overloaded, "overloaded/s")
				b.ReportMetric(p.Other, "other/s")
			}
		})
	}
	if file == "" {
		return
	}
	if err := os.WriteFile(file, plot(b, points), 0o644); err != nil {
		b.Fatal(err)
	}
}

// offer calls Enqueue at a rate. It counts the calls that end after the first second, in
// which the client learns how fast the server is.
func offer(b *testing.B, rate float64, span time.Duration) point {
	b.Helper()
	proxy := queuetest.StartProxy(b, queuetest.Start(b).Addr)
	proxy.Delay(answerDelay)
	c, err := jobs.New(jobs.Config{Beanstalkd: []string{proxy.Addr}})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	const learning = time.Second
	start, started := time.Now(), 0
	var put, overloaded, other atomic.Int64
	call := func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		_, err := c.Enqueue(ctx, jobs.Job{Program: "forecast", Input: jobs.Input{Data: []byte("1")}})
		switch at := time.Since(start); {
		case at < learning || at > learning+span:
		case err == nil:
			put.Add(1)
		case errors.Is(err, jobs.ErrOverloaded):
			overloaded.Add(1)
		default:
			if other.Add(1) == 1 {
				b.Logf("neither put nor refused as overloaded: %v", err)
			}
		}
	}
	var all sync.WaitGroup
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for passed := time.Duration(0); passed < learning+span; passed = time.Since(start) {
		for due := int(passed.Seconds() * rate); started < due; started++ {
			all.Go(call)
		}
		<-tick.C
	}
	all.Wait()
	seconds := span.Seconds()
	return point{rate, float64(put.Load()) / seconds, float64(overloaded.Load()) / seconds, float64(other.Load()) / seconds}
}

// The plot in pixels.
const (
	plotLeft, plotTop     = 70, 64
	plotWidth, plotHeight = 640, 260
	plotMaxX, plotMaxY    = 5 * capacity, 1.25 * capacity
)

func plotX(offered float64) float64 { return plotLeft + offered/plotMaxX*plotWidth }
func plotY(put float64) float64     { return plotTop + plotHeight*(1-put/plotMaxY) }

// plot draws the rate of puts over the offered rate, beside the ideal.
func plot(b *testing.B, points []point) []byte {
	b.Helper()
	data := struct {
		Points   []point
		Capacity float64
		XTicks   []float64
		YTicks   []float64
	}{points, capacity, nil, nil}
	for x := 0.0; x <= plotMaxX; x += capacity / 2 {
		data.XTicks = append(data.XTicks, x)
	}
	for y := 0.0; y <= plotMaxY; y += capacity / 4 {
		data.YTicks = append(data.YTicks, y)
	}
	var out bytes.Buffer
	if err := plotTemplate.Execute(&out, data); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

var plotTemplate = template.Must(template.New("plot").Funcs(template.FuncMap{
	"x": func(v float64) string { return fmt.Sprintf("%.1f", plotX(v)) },
	"y": func(v float64) string { return fmt.Sprintf("%.1f", plotY(v)) },
}).Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 394" role="img" aria-labelledby="title description" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="14">
<title id="title">Enqueue under overload</title>
<desc id="description">Calls of Enqueue that succeed per second, of those that are made:{{range .Points}} {{printf "%.0f" .Put}} of {{printf "%.0f" .Offered}},{{end}} where the server can do {{printf "%.0f" .Capacity}}.</desc>
<style>
  .page { fill: #ffffff } text { fill: #1c2733 } .note { fill: #55636f; font-size: 12px } .grid { stroke: #d5dbe1 }
  .ideal { stroke: #8895a3; stroke-width: 2; stroke-dasharray: 6 4; fill: none } .put { stroke: #2f7d4f; stroke-width: 2.5; fill: none } .dot { fill: #2f7d4f }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12181e } text { fill: #e6edf3 } .note { fill: #a4b1bd } .grid { stroke: #2c3742 }
    .ideal { stroke: #708090 } .put { stroke: #5fa873 } .dot { fill: #5fa873 }
  }
</style>
<rect class="page" width="740" height="394" rx="8"/>
<text x="70" y="28">Calls of Enqueue that succeed, per second</text>
<text class="note" x="70" y="48">The server takes 50 ms for each answer on each of 8 connections. Callers have one second.</text>
{{range .YTicks}}<line class="grid" x1="70" x2="710" y1="{{y .}}" y2="{{y .}}"/><text class="note" x="62" y="{{y .}}" dy="4" text-anchor="end">{{.}}</text>
{{end}}{{range .XTicks}}<text class="note" x="{{x .}}" y="344" text-anchor="middle">{{.}}</text>
{{end}}<text class="note" x="390" y="370" text-anchor="middle">calls per second</text>
<polyline class="ideal" points="{{x 0.0}},{{y 0.0}} {{x .Capacity}},{{y .Capacity}} 710,{{y .Capacity}}"/>
<polyline class="put" points="{{range .Points}}{{x .Offered}},{{y .Put}} {{end}}"/>
{{range .Points}}<circle class="dot" cx="{{x .Offered}}" cy="{{y .Put}}" r="3.5"/>
{{end}}<line class="ideal" x1="330" x2="370" y1="274" y2="274"/><text class="note" x="380" y="278">ideal: all of them, up to what the server can do</text>
<line class="put" x1="330" x2="370" y1="296" y2="296"/><text class="note" x="380" y="300">measured</text>
</svg>
`))
