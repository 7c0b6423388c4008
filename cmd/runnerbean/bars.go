package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/runnerbean/runnerbean/jobs"
)

// barWidth of a progress bar, in columns.
const barWidth = 20

// bar draws a share from 0 to 1 in eighths of a column.
func bar(share float64, width int) string {
	eighths := min(max(int(share*float64(width)*8), 0), width*8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text + strings.Repeat("░", width-ansi.StringWidth(text))
}

// bars shows one line for each job: on a terminal they stay where they are and
// move, elsewhere a line is printed when what it says has changed.
type bars struct {
	w     io.Writer
	tty   *os.File // nil where it is none
	ids   []string
	lines map[string]string
	drawn int // lines on the terminal
}

func newBars(w io.Writer, ids []string) *bars {
	b := &bars{w: w, ids: ids, lines: map[string]string{}}
	if terminal(w) {
		b.tty = w.(*os.File)
	}
	return b
}

// update shows how one job stands now.
func (b *bars) update(id string, r jobs.Result, now time.Time) {
	text := describe(r)
	if b.tty != nil {
		b.lines[id] = barLine(id, r, now)
		b.draw()
		return
	}
	if len(b.ids) > 1 {
		text = id + " " + text
	}
	if b.lines[id] != text {
		fmt.Fprintln(b.w, text)
	}
	b.lines[id] = text
}

// barLine is a job on a terminal.
func barLine(id string, r jobs.Result, now time.Time) string {
	line := shortID(id) + "  " + ansi.Truncate(clean(r.Program), 16, "…") + "  "
	if r.State == jobs.Running && r.Progress != nil {
		line += fmt.Sprintf("%s %3.0f %%", bar(*r.Progress, barWidth), *r.Progress*100)
		if left, ok := timeLeft(r, now); ok {
			line += "  " + span(left) + " left"
		}
		if r.Message != "" {
			line += "  " + clean(r.Message)
		}
		return line
	}
	return line + describe(r)
}

// draw goes back to the first line and writes all of them anew. Those for which
// the terminal has no room are only counted.
func (b *bars) draw() {
	width, height, err := term.GetSize(int(b.tty.Fd()))
	if err != nil || width < 20 || height < 2 {
		width, height = 80, 24
	}
	var out strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", b.drawn)
	}
	shown := min(len(b.ids), height-1)
	if shown < len(b.ids) {
		shown--
	}
	for _, id := range b.ids[:shown] {
		line := b.lines[id]
		if line == "" {
			line = shortID(id)
		}
		fmt.Fprintf(&out, "\r\x1b[K%s\n", ansi.Truncate(line, width-1, "…"))
	}
	b.drawn = shown
	if more := len(b.ids) - shown; more > 0 {
		fmt.Fprintf(&out, "\r\x1b[Kand %d more\n", more)
		b.drawn++
	}
	_, _ = io.WriteString(b.w, out.String())
}

// clear takes the bars away again.
func (b *bars) clear() {
	if b.tty != nil && b.drawn > 0 {
		fmt.Fprintf(b.w, "\x1b[%dA\r\x1b[J", b.drawn)
		b.drawn = 0
	}
}
