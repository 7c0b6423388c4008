package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/text"
)

// followEvery is the time between two requests of "logs --follow".
const followEvery = time.Second

func newLogs(a *app) *cobra.Command {
	var follow bool
	var attempt int
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print what a job's program wrote to standard error",
		Long: `Print what a job's program wrote to standard error, as a terminal shows it: of a
line that was written over with carriage returns its last state. Of a long log
the node keeps both ends; what is left out is said on standard error, as is with
--follow which attempt is shown.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("attempt") && attempt < 1 {
				return usageError(fmt.Errorf("--attempt %d: attempts are counted from 1", attempt))
			}
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			resultURL, err := jobURL(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			l := &logReader{c: c, url: resultURL, out: &logPrinter{out: a.stdout, live: follow && terminal.Interactive(a.stdout)}, said: a.stderr, attempt: attempt}
			if follow {
				return stopped(cmd.Context(), l.follow(cmd.Context()), "stopped following; the job goes on: "+resultURL)
			}
			return l.rest(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job ends, through all of its attempts from now on")
	cmd.Flags().IntVar(&attempt, "attempt", 0, "number of the attempt (default: the newest)")
	return cmd
}

// logReader reads a log by its positions in what the program wrote.
type logReader struct {
	c        *apiclient.Client
	url      string
	out      *logPrinter
	said     io.Writer
	attempt  int   // 0 is the newest
	position int64 // of the next part
}

// follow prints the log until the job has ended.
func (l *logReader) follow(ctx context.Context) error {
	reader, err := l.c.Reader()
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		// The state comes first: the log of a final job is complete.
		result, err := reader.Result(ctx, l.url)
		if err != nil {
			return err
		}
		if err := l.upTo(ctx, result.Attempt); err != nil {
			return err
		}
		if result.State.Final() {
			return l.out.end()
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), l.out.end())
		case <-time.After(followEvery):
		}
	}
}

// upTo prints what is new of all attempts up to the newest one.
func (l *logReader) upTo(ctx context.Context, newest int) error {
	if newest == 0 {
		return nil
	}
	if l.attempt == 0 {
		l.attempt = newest
		if newest > 1 {
			fmt.Fprintf(l.said, "attempt %d:\n", newest)
		}
	}
	for {
		if err := l.parts(ctx); err != nil {
			return err
		}
		if l.attempt >= newest {
			return nil
		}
		if err := l.out.end(); err != nil {
			return err
		}
		l.attempt, l.position = l.attempt+1, 0
		fmt.Fprintf(l.said, "attempt %d:\n", l.attempt)
	}
}

// rest prints what is new of one attempt, and a last line that has not ended.
func (l *logReader) rest(ctx context.Context) error {
	return errors.Join(l.parts(ctx), l.out.end())
}

// parts prints part after part until there is nothing new.
func (l *logReader) parts(ctx context.Context) error {
	for {
		more, err := l.part(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// part prints the next part of the log. It says how much the log leaves out before it.
func (l *logReader) part(ctx context.Context) (more bool, err error) {
	answer, err := l.ask(ctx)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	attempt, errAttempt := strconv.Atoi(answer.Header.Get("Log-Attempt"))
	position, errPosition := strconv.ParseInt(answer.Header.Get("Log-Position"), 10, 64)
	total, errTotal := strconv.ParseInt(answer.Header.Get("Log-Total"), 10, 64)
	if err := errors.Join(errAttempt, errPosition, errTotal); err != nil {
		return false, fmt.Errorf("the node at %s does not serve logs by position: %w", l.c.Base, err)
	}
	if l.attempt == 0 {
		l.attempt = attempt
	}
	if gap := position - l.position; gap > 0 {
		if err := l.out.gap(); err != nil {
			return false, err
		}
		fmt.Fprintf(l.said, "… %s left out …\n", text.Bytes(gap))
	}
	n, err := io.Copy(l.out, io.LimitReader(answer.Body, apiclient.MaxAnswer))
	before := l.position
	l.position = max(position, l.position) + n
	return l.position < total && l.position > before, err
}

func (l *logReader) ask(ctx context.Context) (*http.Response, error) {
	u, err := url.Parse(l.url)
	if err != nil {
		return nil, err
	}
	u = u.JoinPath("log")
	query := u.Query()
	query.Set("from", strconv.FormatInt(l.position, 10))
	if l.attempt > 0 {
		query.Set("attempt", strconv.Itoa(l.attempt))
	}
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := l.c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		data, _ := io.ReadAll(io.LimitReader(answer.Body, apiclient.MaxAnswer))
		return nil, apiclient.Problem(answer, data)
	}
	return answer, nil
}

// maxLine is how much of a line that has not ended is kept, in bytes.
const maxLine = 64 << 10

// logPrinter prints a log that comes in pieces. It keeps a line until the line has ended;
// on a terminal it shows the line before that, and overwrites it later.
type logPrinter struct {
	out   io.Writer
	live  bool
	held  []byte // the last line, as the program wrote it
	shown bool   // held is on the terminal
	first bool   // the next bytes follow a gap
}

func (p *logPrinter) Write(b []byte) (int, error) {
	n := len(b)
	if p.first {
		b, p.first = logtext.Tail(b), false
	}
	p.held = append(p.held, b...)
	if end := bytes.LastIndexByte(p.held, '\n') + 1; end > 0 {
		if err := p.print(p.held[:end]); err != nil {
			return 0, err
		}
		p.held = append(p.held[:0], p.held[end:]...)
	}
	if len(p.held) > maxLine {
		p.held = append(p.held[:0], logtext.Tail(p.held[len(p.held)-maxLine/2:])...)
	}
	if p.live && len(p.held) > 0 {
		p.shown = true
		// One line of the terminal can be overwritten, two cannot.
		_, err := fmt.Fprintf(p.out, "\r\x1b[K%s", terminal.Shorten(terminal.SafeLines(string(logtext.Head(p.held))), 79))
		return n, err
	}
	return n, nil
}

// print prints whole lines.
func (p *logPrinter) print(text []byte) error {
	var out strings.Builder
	if p.shown {
		out.WriteString("\r\x1b[K")
		p.shown = false
	}
	out.WriteString(terminal.SafeLines(string(text)))
	_, err := io.WriteString(p.out, out.String())
	return err
}

// gap prints the line before a part that is left out.
func (p *logPrinter) gap() error {
	p.held = logtext.Head(p.held)
	err := p.end()
	p.first = true
	return err
}

// end prints a last line that has not ended.
func (p *logPrinter) end() error {
	if len(p.held) == 0 {
		return nil
	}
	text := append(p.held, '\n')
	p.held = nil
	return p.print(text)
}

// stopped replaces the error of a wait that a person has ended, by text and its exit
// code.
func stopped(ctx context.Context, err error, text string) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &codeError{exitStopped, errors.New(text)}
}
