package publisher

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// show makes a string of unknown origin fit for one line of a page: at most
// limit runes, with control, bidirectional and invisible characters spelled
// out, so that nothing can pose as something else.
func show(s string, limit int) string {
	return logtext.Visible(clip(s, limit), false)
}

// clip cuts s after limit runes.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// maxLogShown is how much of a log a page holds, in bytes.
const maxLogShown = 32 << 10

// logText is the end of a log, as a terminal shows it, in whole lines.
func logText(tail []byte) string {
	s := strings.TrimRight(logtext.Visible(logtext.Render(string(tail)), true), "\n")
	if len(s) <= maxLogShown {
		return s
	}
	s = logtext.Last(s, maxLogShown)
	if i := strings.IndexByte(s, '\n'); i >= 0 && i < len(s)-1 {
		s = s[i+1:]
	}
	return s
}

// maxLink bounds the addresses that a page links to, in bytes.
const maxLink = 4096

// link lets through addresses of the web and paths on this server; anything
// else is no link.
func link(s string) string {
	u, err := url.Parse(s[:min(len(s), maxLink+1)])
	if err != nil || u.User != nil || len(s) > maxLink {
		return ""
	}
	web := (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	local := u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, `\`)
	if !web && !local {
		return ""
	}
	return u.String()
}

// span writes a duration in words, with two units at most.
func span(d time.Duration) string {
	s := d.Seconds()
	switch {
	case d < 0:
		return "0 s"
	case s < 0.9995:
		return fmt.Sprintf("%.3g ms", s*1000)
	case s < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", s), ".0") + " s"
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	case s < 3600-0.5:
		return units(int(s+0.5), 60, "min", "s")
	case s < day-30:
		return units(int(s+30)/60, 60, "h", "min")
	}
	return units(int((s+1800)/3600), 24, "d", "h")
}

func units(n, per int, large, small string) string {
	if n%per == 0 {
		return fmt.Sprintf("%d %s", n/per, large)
	}
	return fmt.Sprintf("%d %s %d %s", n/per, large, n%per, small)
}

// roughly is span for estimates: rounded so that it does not jitter.
func roughly(d time.Duration) string {
	switch {
	case d < 5*time.Second:
		return "a few seconds"
	case d < time.Minute:
		return span(d.Round(5 * time.Second))
	case d < 10*time.Minute:
		return span(d.Round(10 * time.Second))
	case d < time.Hour:
		return span(d.Round(time.Minute))
	}
	return span(d.Round(10 * time.Minute))
}

// bytesOf writes a size in bytes in units of 1024, as everything does that shows
// one.
func bytesOf(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
