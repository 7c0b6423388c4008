package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/logbuffer"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// logTime bounds the wait for the last lines of the log when a node ends.
const logTime = time.Second

// nodeProcess is a process that runs a node: its log and its signals.
type nodeProcess struct {
	log     *slog.Logger
	buffer  *logbuffer.Buffer // before standard error
	hangups chan os.Signal
}

// asNode calls run in a process that neither a hang-up, nor a broken pipe, nor a log
// that nobody reads ends or blocks. An error is in the log when asNode returns.
func asNode(stop context.Context, set settings.Settings, run func(*nodeProcess) error) error {
	handler := func(w io.Writer) slog.Handler { return set.LogHandler(w, os.Stderr) }
	p := &nodeProcess{hangups: make(chan os.Signal, 1)}
	p.buffer = logbuffer.New(os.Stderr, func(w io.Writer, dropped int64) {
		slog.New(handler(w)).Warn("lines of this log were dropped: they could not be written, or nobody read them in time", "node", set.Node, "lines", dropped)
	})
	defer p.buffer.Close(logTime)
	p.log = slog.New(handler(p.buffer))
	signal.Notify(p.hangups, syscall.SIGHUP)
	// A write to a broken pipe then fails, and does not end the process. The signals
	// are not read. They are not ignored either: programs would inherit that.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	err := run(p)
	if err == nil {
		return nil
	}
	if _, coded := errors.AsType[*codeError](err); !coded && errors.Is(err, context.Canceled) && stop.Err() != nil {
		err = &codeError{exitStopped, errors.New("interrupted")}
	}
	fmt.Fprintln(p.buffer, errorLine(err))
	return &toldError{err}
}

// onHangup calls reload after each SIGHUP, also one that has come already, until done
// is called.
func (p *nodeProcess) onHangup(reload func()) (done func()) {
	end := make(chan struct{})
	go func() {
		for {
			select {
			case <-p.hangups:
				reload()
			case <-end:
				return
			}
		}
	}()
	return func() { close(end) }
}
