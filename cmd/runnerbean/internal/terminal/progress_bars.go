package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// barWidth is the width of a progress bar in columns.
const barWidth = 20

// Bar draws a share from 0 to 1 in eighths of a column.
func Bar(share float64, width int) string {
	eighths := min(max(int(share*float64(width)*8), 0), width*8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text + strings.Repeat("░", width-ansi.StringWidth(text))
}

// JobBars shows one line for each job. On a terminal it redraws the lines in place;
// elsewhere it prints a line when its text has changed.
type JobBars struct {
	w     io.Writer
	tty   *os.File // nil where w is no terminal
	ids   []string
	lines map[string]string
	drawn int // number of lines on the terminal
}

// NewJobBars returns the lines of these jobs on w.
func NewJobBars(w io.Writer, ids []string) *JobBars {
	b := &JobBars{w: w, ids: ids, lines: map[string]string{}}
	if Interactive(w) {
		b.tty = w.(*os.File)
	}
	return b
}

// Update shows the state of one job.
func (b *JobBars) Update(id string, r jobs.Result, now time.Time) {
	text := JobStatus(r)
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

// barLine returns the line of a job on a terminal.
func barLine(id string, r jobs.Result, now time.Time) string {
	line := text.ShortID(id) + "  " + ansi.Truncate(Safe(r.Program), 16, "…") + "  "
	if r.State == jobs.Running && r.Progress != nil {
		line += fmt.Sprintf("%s %3.0f %%", Bar(*r.Progress, barWidth), *r.Progress*100)
		if left, ok := TimeLeft(r, now); ok {
			line += "  " + Duration(left) + " left"
		}
		if r.Message != "" {
			line += "  " + Safe(r.Message)
		}
		return line
	}
	return line + JobStatus(r)
}

// draw redraws all lines from the first one on. It only counts the lines for which the
// terminal has no room.
func (b *JobBars) draw() {
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
			line = text.ShortID(id)
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

// Clear removes the lines from the terminal.
func (b *JobBars) Clear() {
	if b.tty != nil && b.drawn > 0 {
		fmt.Fprintf(b.w, "\x1b[%dA\r\x1b[J", b.drawn)
		b.drawn = 0
	}
}

// Interactive reports whether a stream is a terminal.
func Interactive(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// CountBar is a progress bar on a terminal. Elsewhere it prints nothing.
type CountBar struct{ bar *progressbar.ProgressBar }

// NewCountBar returns a bar for total things on w.
func NewCountBar(w io.Writer, what string, total int) CountBar {
	if !Interactive(w) {
		return CountBar{}
	}
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWidth(30))
	_ = bar.RenderBlank() // an error of drawing does not matter
	return CountBar{bar}
}

// Set shows that n things are done.
func (b CountBar) Set(n int) {
	if b.bar != nil {
		b.bar.Set(min(n, b.bar.GetMax())) // there may be more than were counted
	}
}

// End removes the bar.
func (b CountBar) End() {
	if b.bar != nil {
		b.bar.Finish()
	}
}
